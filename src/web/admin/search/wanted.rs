//! What a search asks for, and how well something fits.

/// The longest question, in characters.
pub(super) const MOST_CHARACTERS: usize = 200;
/// The most words that are looked at.
const MOST_WORDS: usize = 8;

/// The words of a question, in small letters.
pub(super) struct Wanted(Vec<String>);

impl Wanted {
    /// The words of a text. An ellipsis before the last characters of a key or token, as pages show them, is no part of a word.
    pub fn of(text: &str) -> Self {
        let word = |word: &str| {
            let word = word.to_lowercase();
            word.trim_start_matches("sk-…").trim_start_matches('…').to_owned()
        };
        let words = text.split_whitespace().map(word).filter(|word| !word.is_empty());
        Self(words.take(MOST_WORDS).collect())
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How badly something fits that has these names and belongs to something of those: 0 is best; `None` if it does not, because a
    /// word is nowhere in it, or because none is in its own names.
    pub fn misfit(&self, own: &[&str], context: &[&str]) -> Option<u32> {
        let own: Vec<String> = own.iter().map(|text| text.to_lowercase()).collect();
        let mut context_in_small: Option<Vec<String>> = None;
        let (mut sum, mut is_own) = (0, false);
        for word in &self.0 {
            if let Some(misfit) = own.iter().filter_map(|text| misfit(text, word)).min() {
                (sum, is_own) = (sum + misfit, true);
                continue;
            }
            let context = context_in_small
                .get_or_insert_with(|| context.iter().map(|text| text.to_lowercase()).collect());
            sum += context.iter().filter_map(|text| misfit(text, word)).min()?;
        }
        is_own.then_some(sum)
    }
}

/// 0 for the whole text, 1 for its beginning, 2 for the beginning of a word in it, 3 for any other part.
fn misfit(text: &str, word: &str) -> Option<u32> {
    let at = text.find(word)?;
    let is_start = |at: usize| text[..at].chars().next_back().is_some_and(|char| !char.is_alphanumeric());
    Some(match at {
        0 if text.len() == word.len() => 0,
        0 => 1,
        _ if text.match_indices(word).any(|(at, _)| is_start(at)) => 2,
        _ => 3,
    })
}

/// The best of many things and how many fit; `misfit` says how badly each does. Those that fit alike keep their order.
pub(super) fn best<T>(
    items: impl Iterator<Item = T>,
    most: usize,
    misfit: impl Fn(&T) -> Option<u32>,
) -> (Vec<T>, usize) {
    let mut fitting: Vec<(u32, T)> = items.filter_map(|item| Some((misfit(&item)?, item))).collect();
    let count = fitting.len();
    fitting.sort_by_key(|(misfit, _)| *misfit);
    (fitting.into_iter().take(most).map(|(_, item)| item).collect(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_comes_before_its_beginning_a_word_and_a_part() {
        let names = ["regroq", "the groq", "groqish", "Groq", "other"];
        let wanted = Wanted::of(" GROQ ");
        let (found, count) = best(names.into_iter(), 3, |name| wanted.misfit(&[name], &[]));
        assert_eq!((found, count), (vec!["Groq", "groqish", "the groq"], 4));
    }

    #[test]
    fn every_word_must_be_there_and_one_in_the_name_itself() {
        let fits = |text: &str| Wanted::of(text).misfit(&["备用 key", "7f3a"], &["Groq free"]).is_some();
        for text in ["7F3A", "groq 7f3a", "…7f3a", "备用", "free key"] {
            assert!(fits(text), "{text}");
        }
        for text in ["groq", "7f3b", "groq 7f3b"] {
            assert!(!fits(text), "{text}");
        }
        assert!(Wanted::of(" … \t").is_empty());
    }
}
