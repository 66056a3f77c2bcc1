//! Reading data files strictly: what is wrong is told with file and place.

use serde::de::DeserializeOwned;

use crate::provider::{DataFault, MAX_FILE_BYTES, MAX_FILES};

/// Reads the embedded file and those over it, in their order. Every fault of every file is reported.
pub(super) fn read_all<T: DeserializeOwned>(
    embedded: (&str, &str),
    files: &[(String, String)],
) -> Result<Vec<(String, T)>, Vec<DataFault>> {
    if let Some((name, _)) = files.get(MAX_FILES) {
        let message = format!("there are {} files; at most {MAX_FILES} are read", files.len());
        return Err(vec![DataFault { file: name.clone(), place: "the folder".into(), message }]);
    }
    let own = std::iter::once(embedded);
    let all = own.chain(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let mut read = Vec::new();
    let mut faults = Vec::new();
    for (name, text) in all {
        match read_one(name, text) {
            Ok(value) => read.push((name.to_owned(), value)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

fn read_one<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, DataFault> {
    let fault = |place: String, message: String| DataFault { file: name.to_owned(), place, message };
    if text.len() > MAX_FILE_BYTES {
        return Err(fault("the file".into(), format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    // A list would be taken for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(fault("line 1, column 1".into(), "the file is one JSON object: {...}".into()));
    }
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        fault(format!("line {}, column {}", error.line(), error.column()), message)
    })
}

/// Notes a fault unless something holds.
pub(super) fn unless(good: bool, file: &str, place: String, faults: &mut Vec<DataFault>, message: &str) {
    if !good {
        faults.push(DataFault { file: file.to_owned(), place, message: message.to_owned() });
    }
}

/// Whether a text is an http or https address.
pub(super) fn is_address(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}
