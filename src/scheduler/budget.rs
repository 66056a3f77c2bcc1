//! A budget for retries, so that trying again does not multiply the load on hosts in trouble.

/// What each call adds, in thousandths of a retry: one retry for five calls.
const EARNED_PER_CALL: u32 = 200;

/// The most that is saved up, in thousandths.
const MOST: u32 = 50_000;

/// The budget. A quiet server can always afford a few retries, since it begins full.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    thousandths: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { thousandths: MOST }
    }
}

impl RetryBudget {
    /// Notes a call of a client.
    pub fn earn(&mut self) {
        self.thousandths = (self.thousandths + EARNED_PER_CALL).min(MOST);
    }

    /// Whether a call may be tried again. A candidate in good standing costs nothing: sending to it cannot make
    /// trouble worse. `suspect` says that the candidate has failed since its last good answer.
    pub fn spend(&mut self, suspect: bool) -> bool {
        if !suspect {
            return true;
        }
        let enough = self.thousandths >= 1000;
        if enough {
            self.thousandths -= 1000;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_at_hosts_in_trouble_are_a_fifth_of_the_calls_and_healthy_hosts_are_exempt() {
        let mut budget = RetryBudget::default();
        while budget.spend(true) {}
        let retries = (0..1000).filter(|_| {
            budget.earn();
            budget.spend(true)
        });
        assert_eq!(retries.count(), 200);
        assert!(!budget.spend(true) && budget.spend(false));
    }
}
