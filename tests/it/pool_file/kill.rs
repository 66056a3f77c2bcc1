//! `onepool apply`, killed at any moment.

use std::{fmt::Write as _, time::Duration};

use super::Desk;

/// Enough that the program is killed before, in and after its transaction.
const ROUNDS: u32 = 16;

/// A pool of which every part differs from that of another letter.
fn pool(letter: char) -> String {
    let mut text = String::new();
    for channel in 0..40 {
        // Some channels are common to both files, others have to go.
        let name =
            if channel % 2 == 0 { format!("channel {channel}") } else { format!("{letter} {channel}") };
        let _ = write!(
            text,
            "[[channels]]\nname = \"{name}\"\nbase_url = \"https://{letter}.example\"\nnote = \"{letter}\"\n\
             models = [\"{letter}-1\", \"{letter}-2\"]\nheaders = {{ X-Letter = \"{letter}\" }}\n\
             keys = [{{ secret = \"{letter}-key-{channel}\" }}, {{ secret = \"key-{channel}\", label = \"{letter}\" }}]\n"
        );
    }
    for token in 0..20 {
        let _ = write!(
            text,
            "[[tokens]]\nname = \"token {token}\"\nvalue = \"sk-{letter}-0123456789-0123456789-{token:08}\"\n\
             note = \"{letter}\"\n"
        );
    }
    text
}

#[test]
fn an_apply_that_is_killed_leaves_the_old_or_the_new_pool_and_never_a_mixture() {
    let desk = Desk::new();
    let files = ['a', 'b'];
    let mut exports = Vec::new();
    let mut took = Duration::ZERO;
    for letter in ['b', 'a', 'b', 'a'] {
        desk.write(&format!("{letter}.toml"), &pool(letter));
        let began = tokio::time::Instant::now();
        let said = desk.run(&["apply", &format!("{letter}.toml"), "--prune"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        took = began.elapsed();
        exports.push(desk.export(&["--with-secrets"]));
    }
    assert_eq!(exports[0].len(), exports[2].len());
    let expected = [&exports[3], &exports[2]];
    let sorted = |text: &str| {
        // Channels stand in the order in which they were made, which is another one each time.
        let text = text.replace("\n\n[[tokens]]", "\n\n[[channels]] a token:");
        let mut parts: Vec<String> =
            text.split("\n\n[[channels]]").map(|part| part.trim_end().to_owned()).collect();
        parts.sort();
        parts
    };
    let expected = expected.map(|text| sorted(text));
    assert_ne!(expected[0], expected[1]);

    let (mut present, mut old, mut new) = (0, 0, 0);
    for round in 0..ROUNDS {
        let wanted = 1 - present;
        let mut child =
            desk.command(&["apply", &format!("{}.toml", files[wanted]), "--prune"]).spawn().unwrap();
        std::thread::sleep(took * round / (ROUNDS - 2));
        // SIGKILL; a process that has ended is no fault here.
        let _ = child.kill();
        child.wait().unwrap();
        let found = sorted(&desk.export(&["--with-secrets"]));
        if found == expected[wanted] {
            (present, new) = (wanted, new + 1);
        } else {
            assert!(found == expected[present], "round {round}: a mixture");
            old += 1;
        }
    }
    println!("kill -9: {ROUNDS} rounds: {old} times the old pool, {new} times the new one");
    assert!(old > 0, "no process was killed before its end");
    desk.apply(&pool('a'), &["--prune"]);
    assert_eq!(sorted(&desk.export(&["--with-secrets"])), expected[0]);
}
