//! What is known of vendors: the embedded data, and the operator's files in `providers/` of the data folder over it.

use std::{path::Path, sync::Arc};

use super::{files::Followed, ranking_files::RankingFiles};
use crate::provider::{DataFault, Providers};

/// The folder in the data folder.
pub const FOLDER: &str = "providers";

/// The providers in force. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct ProviderStore {
    files: Followed<Providers>,
    ranking: RankingFiles,
}

impl ProviderStore {
    /// Reads the files of a data folder. If one of them is malformed, none counts: see [`faults`](Self::faults).
    pub fn open(data_folder: &Path) -> Self {
        let files = Followed::open(data_folder, FOLDER, Providers::embedded(), Providers::with_overrides);
        Self { files, ranking: RankingFiles::open(data_folder) }
    }

    /// The providers in force.
    pub fn load(&self) -> Arc<Providers> {
        self.files.load()
    }

    /// What is wrong with the files as they are now, at most 20 faults, and with those of [`ranking`](Self::ranking); while
    /// there is something, those that were right before hold.
    pub fn faults(&self) -> Vec<DataFault> {
        self.files.faults().iter().cloned().chain(self.ranking.faults()).collect()
    }

    /// The files that ranks are made from, which stand beside those of vendors. They are followed apart.
    pub fn ranking(&self) -> &RankingFiles {
        &self.ranking
    }

    /// Reads the files again if one came, went, or has another time or length than before. Says whether the providers
    /// changed. Blocks: a listing of the folder, and seldom more.
    pub fn follow(&self) -> bool {
        self.files.follow()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::provider::{MAX_FILE_BYTES, MAX_FILES};

    fn write(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder.join(FOLDER)).unwrap();
        fs::write(folder.join(FOLDER).join(name), text).unwrap();
    }

    fn name(store: &ProviderStore) -> String {
        store.load().find("groq").unwrap().name.en.clone()
    }

    #[test]
    fn a_file_counts_from_the_next_look_on_and_goes_with_its_removal() {
        let folder = tempfile::tempdir().unwrap();
        let store = ProviderStore::open(folder.path());
        assert_eq!(name(&store), "Groq");
        assert!(!store.follow());
        write(folder.path(), "groq.json", r#"{"id": "groq", "name": {"en": "Mine", "zh": "我的"}}"#);
        assert!(store.follow());
        assert_eq!(name(&store), "Mine");
        assert!(!store.follow(), "it is read once");
        fs::remove_file(folder.path().join(FOLDER).join("groq.json")).unwrap();
        assert!(store.follow());
        assert_eq!(name(&store), "Groq");
    }

    #[test]
    fn a_file_that_is_wrong_changes_nothing_and_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "groq.json", r#"{"id": "groq", "name": {"en": "Mine", "zh": "我的"}}"#);
        let store = ProviderStore::open(folder.path());
        write(folder.path(), "wrong.json", "{\n  \"id\": 1}");
        assert!(!store.follow());
        assert_eq!(name(&store), "Mine");
        let faults = store.faults();
        assert_eq!((faults[0].file.as_str(), &faults[0].place[..6]), ("wrong.json", "line 2"));
        write(folder.path(), "wrong.json", r#"{"id": "groq", "name": {"en": "Other", "zh": "其他"}}"#);
        assert!(store.follow());
        assert_eq!((name(&store).as_str(), store.faults().len()), ("Other", 0));
    }

    #[test]
    fn too_many_too_long_and_unreadable_files_are_faults_and_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "notes.txt", "not for us");
        write(folder.path(), ".groq.json", "an editor's copy");
        fs::create_dir_all(folder.path().join(FOLDER).join("folder.json")).unwrap();
        let store = ProviderStore::open(folder.path());
        assert_eq!(store.faults().len(), 0);
        fs::write(folder.path().join(FOLDER).join("a.json"), [0xff, 0xfe]).unwrap();
        store.follow();
        assert_eq!(store.faults()[0].file, "a.json");
        write(folder.path(), "a.json", &"x".repeat(MAX_FILE_BYTES + 1));
        store.follow();
        assert!(store.faults()[0].message.contains("longer"), "{:?}", store.faults());
        for number in 0..=MAX_FILES {
            write(folder.path(), &format!("{number}.json"), "{}");
        }
        store.follow();
        assert!(store.faults()[0].message.contains("more than"), "{:?}", store.faults());
        fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
        store.follow();
        assert_eq!(store.faults().len(), 0);
    }
}
