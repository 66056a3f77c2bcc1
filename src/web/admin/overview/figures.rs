//! The numbers behind the overview: worked out once for all who look at it, in any language.

use std::{sync::Arc, time::Duration};

use crate::{
    i18n::Messages,
    inspect::{self, Shortages, Size},
    model::time::UnixMs,
    scheduler::pool::Outlook,
    storage::{
        StorageError, StorageResult,
        usage_query::{
            UsageFilter,
            report::{GroupBy, Question, UsageReport},
            steps::{Step, Steps},
        },
    },
    web::{
        Site,
        admin::{
            live::Paced,
            usage::{
                explore::saver,
                period::{Choice, Period},
            },
        },
        form::{FieldErrors, Fields},
        format::{approximate, money, number},
    },
};

/// How long what the pool can do holds at least.
const POOL_HOLDS: Duration = Duration::from_secs(2);
/// How long sums of the log hold at least.
const SUMS_HOLD: Duration = Duration::from_secs(2);

/// The numbers as they were worked out last.
pub struct Figures {
    outlook: Paced<Arc<Outlook>>,
    shortages: Paced<Arc<Shortages>>,
    lately: Paced<Option<Arc<Lately>>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            outlook: Paced::new(POOL_HOLDS),
            shortages: Paced::new(POOL_HOLDS),
            lately: Paced::new(SUMS_HOLD),
        }
    }
}

impl Figures {
    /// What all models can do together, with calls of the usual size.
    pub(in crate::web::admin) async fn outlook(&self, site: &Site) -> Arc<Outlook> {
        let made = self.outlook.of(async {
            let cost = Size::USUAL.cost();
            Ok::<_, std::convert::Infallible>(Arc::new(inspect::of_pool(
                &site.catalog.load(),
                &site.dispatch,
                cost,
            )))
        });
        match made.await {
            Ok(outlook) => outlook,
        }
    }

    /// Which keys have no known limits, and which have used up a long one.
    pub(in crate::web::admin) async fn shortages(&self, site: &Site) -> Arc<Shortages> {
        let made = self.shortages.of(async {
            let cost = Size::USUAL.cost();
            let shortages = inspect::shortages(&site.catalog.load(), &site.dispatch, cost);
            Ok::<_, std::convert::Infallible>(Arc::new(shortages))
        });
        match made.await {
            Ok(shortages) => shortages,
        }
    }
}

/// Sums of the calls of a period.
pub struct Lately {
    /// When it begins, at a full hour.
    pub from: UnixMs,
    /// The sums.
    pub report: UsageReport,
    /// What free and cheap calls would have cost more by list prices, in micro-dollars; `None` where it is not known, as on the
    /// usage page.
    pub saved_micros: Option<i64>,
}

/// Sums of the running hour and the 23 before it, as the usage page has them; `None` if the database is too busy for them.
pub async fn lately(site: &Site) -> StorageResult<Option<Arc<Lately>>> {
    let made = site.admin.figures.lately.of(async {
        let catalog = site.catalog.load();
        let t = Messages::of(crate::i18n::Lang::En);
        let mut errors = FieldErrors::default();
        let fields = Fields::default();
        let period = Period::read(&fields, Choice::Day, site.clock.now(), &catalog.zone, t, &mut errors);
        let from = period.from.unwrap_or_default();
        let now = site.clock.now();
        let to = period.to.unwrap_or(UnixMs(now.0 + 1));
        let filter = UsageFilter { from: Some(from), to: period.to, ..UsageFilter::default() };
        let question = Question {
            steps: Some(Steps::new(Step::Quarter, from, to, &catalog.zone)),
            ..Question::new(filter, GroupBy::Channel)
        };
        let read = async {
            let saved_micros = match saver(&question.filter) {
                Some(owner) => match site.db.saved_micros(owner, from, period.to).await {
                    Err(StorageError::TooSlow) => None,
                    saved => Some(saved?),
                },
                None => None,
            };
            Ok::<_, StorageError>((site.db.usage_report(&question).await?, saved_micros))
        };
        match read.await {
            Ok((report, saved_micros)) => Ok(Some(Arc::new(Lately { from, report, saved_micros }))),
            Err(StorageError::TooSlow) => Ok(None),
            Err(error) => Err(error),
        }
    });
    made.await
}

/// What stands below the cost: what was saved, and how many calls' counts are estimates, if any are.
pub fn cost_note(t: Messages, recent: &Lately) -> String {
    let estimated = recent.report.sums.estimated;
    let saved = recent.saved_micros.map(|saved| t.usage.saved(&approximate(money(saved), estimated > 0)));
    let estimates = (estimated > 0).then(|| t.usage.estimated(&number(estimated)));
    saved.into_iter().chain(estimates).collect::<Vec<_>>().join(" · ")
}
