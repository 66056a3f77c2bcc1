//! Forms that clients upload, kept for as long as their call lasts: a retry sends them again. Small ones stay in memory, others
//! go to a file that has no name any more by the time it is written to, so that nothing is left behind however the process ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use crate::{
    model::id::RequestId,
    protocol::{
        multipart::{self, Part},
        shape::FormField,
    },
    upstream::client::FormBody,
};

/// Larger forms go to a file.
const HELD_BYTES: usize = 256 << 10;

/// Files are written and read in pieces of this size. Fifty uploads at a time are to take some megabytes together.
const PIECE_BYTES: usize = 64 << 10;

/// Texts up to this length can be looked at before they are sent on.
const SHORT_TEXT_BYTES: usize = 256;

/// How many files are written to or read from at a time. Each takes a thread, and an allocator keeps memory for each thread.
const DISK_THREADS: usize = 4;

/// Where large forms are kept while they are sent on: a folder of the data folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UploadFolder {
    path: Arc<Path>,
    disk: Arc<Semaphore>,
}

impl UploadFolder {
    /// The folder `path`, empty: what a process that was killed left there is deleted. If that does not work, uploads that
    /// need it are refused one by one.
    pub fn open(path: PathBuf) -> Self {
        let empty = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            for entry in fs::read_dir(&path)? {
                fs::remove_file(entry?.path())?;
            }
            Ok(())
        };
        if let Err(error) = empty() {
            tracing::error!(%error, folder = %path.display(), "large uploads cannot be kept");
        }
        Self { path: path.into(), disk: Arc::new(Semaphore::new(DISK_THREADS)) }
    }

    /// A file that is gone once nobody holds it open.
    fn file(&self, id: RequestId) -> io::Result<File> {
        let path = self.path.join(id.to_string());
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }
}

/// Does something with a file on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    disk: &Semaphore,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let _turn = disk.acquire().await.map_err(io::Error::other)?;
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A field of a form as it came.
#[derive(Debug)]
struct Uploaded {
    part: Part,
    /// Where its content begins in what is kept, and where it ends.
    from: u64,
    to: u64,
    /// The content itself, if it is a short text.
    text: Option<Vec<u8>>,
    /// Whether it is the model's name, which is not kept.
    is_model: bool,
}

/// A form while it is read. The contents are kept one after the other; what stands between them is written for each attempt, with
/// the boundary of ours.
pub struct Draft {
    folder: UploadFolder,
    id: RequestId,
    fields: Vec<Uploaded>,
    /// What is not in the file yet.
    held: Vec<u8>,
    file: Option<Arc<File>>,
    length: u64,
}

impl Draft {
    /// An empty form of a call.
    pub fn new(folder: UploadFolder, id: RequestId) -> Self {
        Self { folder, id, fields: Vec::new(), held: Vec::new(), file: None, length: 0 }
    }

    /// Begins a part.
    pub fn begin(&mut self, part: Part) {
        let text = part.file_name.is_none().then(Vec::new);
        let (from, to) = (self.length, self.length);
        self.fields.push(Uploaded { part, from, to, text, is_model: false });
    }

    /// Says that the part that was begun last is the model's name. Its content is not to be written.
    pub fn place_model(&mut self) {
        if let Some(field) = self.fields.last_mut() {
            (field.is_model, field.text) = (true, None);
        }
    }

    /// Adds content to the part that was begun last.
    ///
    /// # Errors
    /// The disk is full, or cannot be written to. Dropping the future loses what it should write: drop the draft then.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(field) = self.fields.last_mut() {
            field.to += bytes.len() as u64;
            match &mut field.text {
                Some(text) if text.len() + bytes.len() <= SHORT_TEXT_BYTES => text.extend_from_slice(bytes),
                other => *other = None,
            }
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.held.extend_from_slice(piece);
            self.length += piece.len() as u64;
            let most = if self.file.is_some() { PIECE_BYTES } else { HELD_BYTES };
            if self.held.len() > most {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (held, file) = (std::mem::take(&mut self.held), self.file.clone());
        let (folder, id) = (self.folder.clone(), self.id);
        let disk = self.folder.disk.clone();
        let written = on_disk(&disk, move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(folder.file(id)?),
            };
            (&*file).write_all(&held)?;
            Ok((file, held))
        });
        let (file, mut held) = written.await?;
        held.clear();
        held.shrink_to(2 * PIECE_BYTES);
        self.file = Some(file);
        self.held = held;
        Ok(())
    }

    /// The whole form.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(mut self) -> io::Result<Upload> {
        if self.file.is_some() {
            self.flush().await?;
        }
        Ok(Upload {
            boundary: format!("onepool-{:032x}", rand::random::<u128>()),
            fields: self.fields,
            held: std::mem::take(&mut self.held).into(),
            file: self.file,
            disk: self.folder.disk,
        })
    }
}

/// A form that was uploaded. What it takes is given back when it is dropped.
#[derive(Debug)]
pub struct Upload {
    boundary: String,
    fields: Vec<Uploaded>,
    /// All contents, if there is no file.
    held: Bytes,
    file: Option<Arc<File>>,
    disk: Arc<Semaphore>,
}

impl Upload {
    /// Its fields, in order, as fixes look at them.
    pub fn fields(&self) -> Vec<FormField> {
        let field = |(stored, field): (usize, &Uploaded)| FormField {
            name: field.part.name.clone(),
            text: field.text.clone().and_then(|text| String::from_utf8(text).ok()),
            stored: Some(stored),
            is_file: field.part.file_name.is_some(),
        };
        self.fields.iter().enumerate().map(field).collect()
    }

    /// A request's body with this model and these of its fields, perhaps under other names or with other texts.
    pub fn body(&self, model: &str, fields: &[FormField]) -> FormBody {
        let mut pieces: Vec<stream::BoxStream<'static, io::Result<Bytes>>> = Vec::new();
        let mut length = 0;
        // What stands between contents, and short texts.
        let mut text = String::new();
        for (place, field) in fields.iter().enumerate() {
            let stored = field.stored.and_then(|stored| self.fields.get(stored));
            let part = match stored {
                Some(stored) => Part { name: field.name.clone(), ..stored.part.clone() },
                None => Part { name: field.name.clone(), file_name: None, content_type: None },
            };
            text.push_str(&multipart::begin(&self.boundary, place == 0, &part));
            match (stored, &field.text) {
                (Some(stored), _) if stored.is_model => text.push_str(model),
                (_, Some(short)) => text.push_str(short),
                (Some(stored), None) => {
                    let head = std::mem::take(&mut text);
                    length += head.len() as u64 + (stored.to - stored.from);
                    pieces.push(stream::once(std::future::ready(Ok(Bytes::from(head)))).boxed());
                    pieces.push(self.part(stored.from, stored.to));
                }
                (None, None) => {}
            }
        }
        text.push_str(&multipart::end(&self.boundary));
        length += text.len() as u64;
        pieces.push(stream::once(std::future::ready(Ok(Bytes::from(text)))).boxed());
        FormBody {
            content_type: format!("multipart/form-data; boundary={}", self.boundary),
            length,
            pieces: stream::iter(pieces).flatten().boxed(),
        }
    }

    fn part(&self, from: u64, to: u64) -> stream::BoxStream<'static, io::Result<Bytes>> {
        let Some(file) = self.file.clone() else {
            // Both are at most the length of what is held.
            let piece = self.held.slice(from as usize..to as usize);
            return stream::once(std::future::ready(Ok(piece))).boxed();
        };
        let disk = self.disk.clone();
        stream::try_unfold(from, move |at| {
            let (file, disk) = (file.clone(), disk.clone());
            async move {
                let length = (to - at).min(PIECE_BYTES as u64) as usize;
                if length == 0 {
                    return Ok(None);
                }
                let mut piece = vec![0; length];
                let read = on_disk(&disk, move || file.read_exact_at(&mut piece, at).map(|()| piece));
                Ok(Some((Bytes::from(read.await?), at + length as u64)))
            }
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(upload: &Upload, model: &str) -> Vec<u8> {
        let body = upload.body(model, &upload.fields());
        let pieces: Vec<io::Result<Bytes>> = body.pieces.collect().await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap()).collect();
        assert_eq!(bytes.len() as u64, body.length);
        bytes
    }

    async fn upload(folder: &UploadFolder, file_bytes: usize) -> io::Result<Upload> {
        let mut draft = Draft::new(folder.clone(), RequestId(uuid::Uuid::from_u128(1)));
        let text = Part { name: "model".into(), file_name: None, content_type: None };
        draft.begin(text);
        draft.place_model();
        let file = Part { name: "file".into(), file_name: Some("a.mp3".into()), content_type: None };
        draft.begin(file);
        for _ in 0..file_bytes / 1000 {
            draft.write(&[7; 1000]).await?;
        }
        draft.finish().await
    }

    #[tokio::test]
    async fn a_form_is_sent_again_and_again_with_another_model_whether_it_is_held_or_on_disk() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("uploads");
        let folder = UploadFolder::open(path.clone());
        for bytes in [1000, 3_000_000] {
            let upload = upload(&folder, bytes).await.unwrap();
            assert_eq!(upload.file.is_some(), bytes > HELD_BYTES);
            for model in ["whisper-1", "another-model"] {
                let sent = sent(&upload, model).await;
                let head = String::from_utf8_lossy(&sent[..400]).into_owned();
                assert!(head.contains(&format!("name=\"model\"\r\n\r\n{model}\r\n--onepool-")), "{head}");
                assert_eq!(sent.iter().filter(|byte| **byte == 7).count(), bytes);
                assert!(sent.ends_with(format!("\r\n--{}--\r\n", upload.boundary).as_bytes()));
            }
            assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "a file has no name");
        }
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_deleted_and_a_folder_that_is_none_refuses_large_forms_only() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("uploads");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left"), "x").unwrap();
        let folder = UploadFolder::open(path.clone());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "in its place").unwrap();
        assert!(upload(&folder, 1000).await.is_ok());
        assert!(upload(&folder, 3_000_000).await.is_err());
    }
}
