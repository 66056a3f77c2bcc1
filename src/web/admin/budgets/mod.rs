//! `/budgets`: every budget with what is spent of it.

mod fields;

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::{get, post},
};

use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        budget::{Owner, OwnerKind, Standing},
        catalog::Catalog,
        time::UnixMs,
        token::QuotaUnit,
    },
    storage::{Db, StorageError},
    web::{
        Site,
        admin::{
            usage::period::url,
            visit::{Chrome, FlashKind, Operator, Section, render, see_other, see_other_with},
        },
        form::Fields,
        format::{Moment, exact_money, money, number, share},
    },
};

pub use fields::BudgetFields;

/// How far back savings are shown, in days.
const SAVED_DAYS: i64 = 30;

/// The most rows of a page.
const MOST_ROWS: usize = 100;

/// `/budgets` and below.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/budgets", get(index))
        .route("/budgets/{kind}/{id}/reset", post(begin_anew).get(async || see_other("/budgets")))
}

#[derive(Template)]
#[template(path = "pages/budgets.html")]
struct BudgetsPage {
    c: Chrome,
    /// Whether there is any budget.
    any: bool,
    filter: String,
    rows: Vec<BudgetView>,
    /// The address of the next page; empty on the last one.
    next: String,
    saved: String,
}

/// A budget as pages show it.
pub struct BudgetView {
    /// Its row's name in the page.
    pub row_id: String,
    /// What it is, in a word.
    pub kind: &'static str,
    /// Whose it is.
    pub name: String,
    /// Of a key its channel.
    pub channel: String,
    /// The page of whose it is.
    pub href: String,
    /// `$1.20 of $5.00`.
    pub text: String,
    /// How much of it, in per cent.
    pub share: String,
    /// What is left.
    pub left: String,
    /// For the bar.
    pub spent: i64,
    /// For the bar.
    pub limit: i64,
    /// How long until it starts anew; that it never does.
    pub anew: String,
    /// When.
    pub anew_at: Option<Moment>,
    /// At which parts operators are warned.
    pub warnings: String,
    /// The class of the state's badge.
    pub class: &'static str,
    /// The state.
    pub state: String,
    /// Where a form sends the wish to begin anew.
    pub reset: String,
}

impl BudgetView {
    /// As a page shows it at `now`.
    pub fn of(t: Messages, budget: &Standing, now: UnixMs, zone: &jiff::tz::TimeZone) -> Self {
        let b = t.budgets;
        let (unit, limit) = (budget.quota.unit, budget.quota.limit);
        let kind = budget.owner.kind();
        let levels: Vec<String> = budget.quota.warn_at.iter().map(|level| level.to_string()).collect();
        let (class, state) = match budget.level() {
            None => ("ok", b.state_ok().to_owned()),
            Some(100) if budget.is_stopped() => ("bad", b.state_used_up().to_owned()),
            Some(100) if budget.spent >= limit => ("bad", b.state_used_up_warns().to_owned()),
            Some(level) => ("warn", b.state_warned(level)),
        };
        Self {
            row_id: format!("budget-{kind}-{}", budget.owner.number()),
            kind: match kind {
                OwnerKind::Token => b.kind_token(),
                OwnerKind::Key => b.kind_key(),
                OwnerKind::Channel => b.kind_channel(),
            },
            name: budget.name.clone(),
            channel: budget.channel.as_ref().map(|(_, name)| name.clone()).unwrap_or_default(),
            href: match (budget.owner, &budget.channel) {
                (Owner::Token(id), _) => format!("/tokens/{id}"),
                (Owner::Channel(id), _) => format!("/channels/{id}"),
                (Owner::Key(id), Some((channel, _))) => format!("/channels/{channel}/keys/{id}"),
                (Owner::Key(_), None) => "/channels".into(),
            },
            text: t.tokens.spent_of(&bare(unit, budget.spent), &amount(t, unit, limit)),
            share: share(budget.spent, limit),
            left: amount(t, unit, budget.left()),
            spent: budget.spent.clamp(0, limit),
            limit,
            anew: match budget.resets_at {
                Some(at) => b.anew_in(&until(t, at.0.saturating_sub(now.0))),
                None => b.anew_never().to_owned(),
            },
            anew_at: budget.resets_at.map(|at| Moment::new(t, at, now, zone)),
            warnings: if levels.is_empty() { b.no_levels().into() } else { b.levels(&levels.join(", ")) },
            class,
            state,
            reset: format!("/budgets/{kind}/{}/reset", budget.owner.number()),
        }
    }
}

/// A time to come, to the minute: `3 d 4 h`, `2 h 5 min`, `7 min`.
fn until(t: Messages, ms: i64) -> String {
    let minutes = (ms.max(0) + 59_999) / 60_000;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => t.budgets.minutes(minutes),
        (0, hours) => t.budgets.hours_and_minutes(hours, minutes % 60),
        (days, hours) => t.budgets.days_and_hours(days, hours),
    }
}

/// What was spent, without its unit's name.
fn bare(unit: QuotaUnit, count: i64) -> String {
    match unit {
        QuotaUnit::Dollars => money(count),
        QuotaUnit::Tokens | QuotaUnit::Requests => number(count),
    }
}

/// An amount with its unit.
fn amount(t: Messages, unit: QuotaUnit, count: i64) -> String {
    match unit {
        QuotaUnit::Dollars => exact_money(count),
        QuotaUnit::Tokens => format!("{} {}", number(count), t.token_form.unit_tokens()),
        QuotaUnit::Requests => format!("{} {}", number(count), t.token_form.unit_requests()),
    }
}

/// What the calls of an owner, or all, saved in the last 30 days; empty if nothing was, or the database is too busy.
pub async fn saved_text(db: &Db, t: Messages, owner: Option<Owner>) -> Result<String> {
    let since = UnixMs(db.now().0 - SAVED_DAYS * 86_400_000);
    let saved = match db.saved_micros(owner, since, None).await {
        Err(StorageError::TooSlow) => 0,
        saved => saved?,
    };
    Ok(if saved > 0 { t.budgets.saved_since(&money(saved)) } else { String::new() })
}

/// The budget of one owner, if it has one.
pub async fn view_of(db: &Db, catalog: &Catalog, t: Messages, owner: Owner) -> Result<Option<BudgetView>> {
    let now = db.now();
    let budgets = db.budgets(catalog, now).await?;
    let own = budgets.iter().find(|budget| budget.owner == owner);
    Ok(own.map(|budget| BudgetView::of(t, budget, now, &catalog.zone)))
}

/// `GET /budgets`: `q` is a part of the name of whose a budget is, or of its channel's; `after` how many rows come before.
async fn index(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let t = operator.t();
    let (catalog, now) = (site.catalog.load(), site.clock.now());
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let filter = fields.text("q").trim().to_owned();
    let after: usize = fields.text("after").parse().unwrap_or(0);
    let budgets = site.db.budgets(&catalog, now).await?;
    let wanted = filter.to_lowercase();
    let fits = |budget: &&Standing| {
        let channel = budget.channel.as_ref().map_or("", |(_, name)| name);
        [budget.name.as_str(), channel].iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let found: Vec<&Standing> = budgets.iter().filter(fits).skip(after).take(MOST_ROWS + 1).collect();
    let next = if found.len() > MOST_ROWS {
        url("/budgets", [("q", filter.clone()), ("after", (after + MOST_ROWS).to_string())])
    } else {
        String::new()
    };
    let shown = found.into_iter().take(MOST_ROWS);
    render(&BudgetsPage {
        c: operator.chrome(Section::Budgets),
        any: !budgets.is_empty(),
        filter,
        rows: shown.map(|budget| BudgetView::of(t, budget, now, &catalog.zone)).collect(),
        next,
        saved: saved_text(&site.db, t, None).await?,
    })
}

/// `POST /budgets/{kind}/{id}/reset`: the present period counts from zero again.
async fn begin_anew(
    State(site): State<Site>,
    operator: Operator,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response> {
    let t = operator.t();
    let owner = OwnerKind::from_name(&kind).zip(id.parse::<i64>().ok());
    let owner = owner.map(|(kind, id)| Owner::of(kind, id)).ok_or(Error::NotFound)?;
    if !site.begin_budget_anew(owner).await? {
        return Ok(see_other_with("/budgets", FlashKind::Bad, t.budgets.not_found()));
    }
    Ok(see_other_with("/budgets", FlashKind::Ok, t.budgets.begun_anew()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        model::{
            id::TokenId,
            token::{AtLimit, Quota, QuotaReset},
        },
    };

    fn view(spent: i64, change: impl FnOnce(&mut Quota)) -> BudgetView {
        let mut quota = Quota::new(QuotaUnit::Dollars, 10_000_000, QuotaReset::Day);
        change(&mut quota);
        let standing = Standing {
            owner: Owner::Token(TokenId(3)),
            name: "ci".into(),
            channel: None,
            quota,
            spent,
            period_start: UnixMs(0),
            resets_at: Some(UnixMs(90_061_000)),
        };
        BudgetView::of(Messages::of(Lang::En), &standing, UnixMs(0), &jiff::tz::TimeZone::UTC)
    }

    #[test]
    fn a_budget_says_in_words_how_it_stands() {
        let state = |spent| view(spent, |_| {}).state;
        assert_eq!(state(0), "within budget");
        assert_eq!(state(8_000_000), "80% reached");
        assert_eq!(state(9_999_999), "95% reached");
        assert_eq!(state(11_000_000), "used up");
        assert_eq!(view(11_000_000, |quota| quota.at_limit = AtLimit::Warn).state, "used up, calls go on");
        let half = view(5_000_000, |_| {});
        assert_eq!((half.text.as_str(), half.share.as_str()), ("$5.00 of $10.00", "50.0%"));
        assert_eq!((half.left.as_str(), half.anew.as_str()), ("$5.00", "in 1 d 1 h"));
    }
}
