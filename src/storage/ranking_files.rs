//! What ranks are made from: the embedded tables of names and figures, and the operator's files in `ranking/` of the data
//! folder over them. Files whose names begin with `identities` hold names, those with `benchmarks` figures,
//! those with `prices` prices.

use std::sync::Arc;

use super::files::Followed;
use crate::{
    provider::DataFault,
    ranking::{benchmark::Benchmarks, identity::Identities, price::Presets},
};

/// The folder in the data folder.
pub const FOLDER: &str = "ranking";

/// What a file's name begins with, and what it holds.
const IDENTITIES: &str = "identities";
const BENCHMARKS: &str = "benchmarks";
const PRICES: &str = "prices";

/// The tables in force.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Which names are one model, without what operators have joined on pages.
    pub identities: Identities,
    /// Published figures.
    pub benchmarks: Benchmarks,
    /// What models cost at their vendors.
    pub prices: Presets,
}

/// The tables in force, and what is wrong with the files. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct RankingFiles(Followed<Tables>);

impl RankingFiles {
    /// Reads the files of a data folder. If one of them is malformed, none counts: see [`faults`](Self::faults).
    pub fn open(data_folder: &std::path::Path) -> Self {
        let embedded = Tables {
            identities: Identities::embedded(),
            benchmarks: Benchmarks::embedded(),
            prices: Presets::embedded(),
        };
        Self(Followed::open(data_folder, FOLDER, embedded, tables))
    }

    /// The tables in force. They are the same ones (by address) until a file changes.
    pub fn load(&self) -> Arc<Tables> {
        self.0.load()
    }

    /// What is wrong with the files as they are now, at most 20 faults, each with the file's path in the data folder; while
    /// there is something, the tables that were right before hold.
    pub fn faults(&self) -> Vec<DataFault> {
        let path = |fault: &DataFault| {
            // The folder itself may be at fault.
            let file = &fault.file;
            let file = if file == FOLDER { file.clone() } else { format!("{FOLDER}/{file}") };
            DataFault { file, ..fault.clone() }
        };
        self.0.faults().iter().map(path).collect()
    }

    /// Reads the files again if one came, went, or has another time or length than before. Says whether the tables
    /// changed. Blocks: a listing of the folder, and seldom more.
    pub fn follow(&self) -> bool {
        self.0.follow()
    }
}

fn tables(files: &[(String, String)]) -> Result<Tables, Vec<DataFault>> {
    let of = |start: &str| -> Vec<(String, String)> {
        files.iter().filter(|(name, _)| name.starts_with(start)).cloned().collect()
    };
    let mut faults: Vec<DataFault> = files
        .iter()
        .filter(|(name, _)| ![IDENTITIES, BENCHMARKS, PRICES].iter().any(|start| name.starts_with(start)))
        .map(|(name, _)| DataFault {
            file: name.clone(),
            place: "the file".into(),
            message: format!(
                "begin its name with `{IDENTITIES}`, `{BENCHMARKS}` or `{PRICES}`, which says what it holds"
            ),
        })
        .collect();
    let identities = Identities::with_overrides(&of(IDENTITIES)).map_err(|more| faults.extend(more)).ok();
    let benchmarks = Benchmarks::with_overrides(&of(BENCHMARKS)).map_err(|more| faults.extend(more)).ok();
    let prices = Presets::with_overrides(&of(PRICES)).map_err(|more| faults.extend(more)).ok();
    match (identities, benchmarks, prices) {
        (Some(identities), Some(benchmarks), Some(prices)) if faults.is_empty() => {
            Ok(Tables { identities, benchmarks, prices })
        }
        _ => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::ranking::{
        benchmark::{Known, Measure},
        identity::Identity,
    };

    fn write(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder.join(FOLDER)).unwrap();
        fs::write(folder.join(FOLDER).join(name), text).unwrap();
    }

    fn identity(files: &RankingFiles, name: &str) -> String {
        files.load().identities.identify("generic", name).identity.to_string()
    }

    #[test]
    fn names_and_figures_of_files_count_from_the_next_look_on_and_go_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let files = RankingFiles::open(folder.path());
        assert_eq!(identity(&files, "house-model"), "house-model");
        write(
            folder.path(),
            "identities-own.json",
            r#"{"models": [{"id": "big", "names": ["house-model"]}]}"#,
        );
        write(
            folder.path(),
            "benchmarks.json",
            r#"{"figures": [{"model": "big", "benchmark": "whatmodel", "value": 85, "as_of": "2026-10-01",
                "source": "https://example.org/figures"}]}"#,
        );
        assert!(files.follow() && !files.follow());
        assert_eq!(identity(&files, "house-model"), "big");
        let known = files.load().benchmarks.of(&Identity::new("big"), Measure::General);
        assert!(matches!(known, Known::Figure(figure) if figure.points == 1000));
        fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
        assert!(files.follow());
        assert_eq!(identity(&files, "house-model"), "house-model");
    }

    #[test]
    fn a_file_that_is_wrong_changes_nothing_and_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "identities.json", r#"{"models": [{"id": "big", "names": ["house-model"]}]}"#);
        let files = RankingFiles::open(folder.path());
        write(folder.path(), "benchmarks.json", "{\n \"figures\": 1}");
        write(folder.path(), "scores.json", "{}");
        assert!(!files.follow());
        assert_eq!(identity(&files, "house-model"), "big");
        let faults = files.faults();
        let told: Vec<(&str, &str)> =
            faults.iter().map(|fault| (fault.file.as_str(), fault.place.as_str())).collect();
        assert_eq!(told[0], ("ranking/scores.json", "the file"));
        assert_eq!((told[1].0, &told[1].1[..6]), ("ranking/benchmarks.json", "line 2"));
    }
}
