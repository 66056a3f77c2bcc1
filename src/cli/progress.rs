//! How far long work has come: a bar on a terminal, one line elsewhere. All of it goes to stderr.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{clean, complain};

/// Work of several steps. The bar vanishes at its end.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins work of so many steps; `quiet` shows nothing, for `--json`.
    pub fn begin(title: &str, steps: usize, quiet: bool) -> Self {
        if quiet || !io::stderr().is_terminal() {
            if !quiet {
                complain(title);
            }
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new(steps as u64);
        let style = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// One step is done; says which.
    pub fn step(&self, what: &str) {
        self.bar.set_message(clean(what).chars().take(40).collect::<String>());
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
