//! `onepool usage report`: sums over a period, by token, channel, key, model or day.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::filter;
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, NOTHING, Table, at, clean, print_raw, tell},
        session::{Session, on_folder},
        view, when,
    },
    i18n::Messages,
    model::time::UnixMs,
    storage::usage_query::{
        UsageFilter,
        report::{Group, GroupBy, GroupName, Sums},
    },
    web::{
        admin::log::{
            csv::cell,
            names::{key_text, named_text},
        },
        format::{approximate, duration, money, number, plain_money, share},
    },
};

/// The most lines, which is also how many groups the database keeps apart.
const MOST: usize = 200;
/// The most days that are told apart.
const MOST_DAYS: usize = 100;

/// What a report has one line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Group(GroupBy),
    Day,
}

impl By {
    fn read(call: &Invocation) -> Result<Self, Failure> {
        match call.text("by") {
            None => Ok(Self::Group(GroupBy::Token)),
            Some("day") => Ok(Self::Day),
            Some(word) => GroupBy::from_name(word).map(Self::Group).ok_or_else(|| {
                let words: Vec<&str> = GroupBy::ALL.iter().map(|by| by.as_str()).chain(["day"]).collect();
                Failure::option("--by", call.m.cli.give_one_of(&words.join(", ")))
            }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Group(by) => by.as_str(),
            Self::Day => "day",
        }
    }

    fn heading(self, m: Messages) -> &'static str {
        match self {
            Self::Group(GroupBy::Token) => m.usage.by_token(),
            Self::Group(GroupBy::Channel) => m.usage.by_channel(),
            Self::Group(GroupBy::Key) => m.usage.by_key(),
            Self::Group(GroupBy::Model) => m.usage.by_model(),
            Self::Group(GroupBy::Upstream) => m.usage.by_upstream(),
            Self::Day => m.terminal.day(),
        }
    }
}

/// A line of a report.
struct Line {
    name: String,
    sums: Sums,
    json: Value,
}

/// `onepool usage report`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let (by, limit) = (By::read(call)?, filter::limit(call, MOST, MOST)?);
    on_folder(call, async |session| {
        let filter = filter::aligned(filter::read(call, session).await?);
        let (totals, mut lines) = match by {
            By::Group(group_by) => {
                let report = session.db.usage_report_of(&filter, group_by).await?;
                let line = |group: &Group| Line {
                    name: name_of(call.m, &group.name),
                    sums: group.sums.clone(),
                    json: view::group(group),
                };
                (report.sums, report.groups.iter().map(line).collect::<Vec<_>>())
            }
            By::Day => by_day(call, session, &filter).await?,
        };
        lines.truncate(limit);
        if call.is_on("csv") {
            return print_raw(&csv(by, &lines));
        }
        let json = json!({
            "by": by.name(),
            "from": filter.from.map(at),
            "to": filter.to.map(at),
            "totals": view::sums(&totals),
            "groups": lines.iter().map(|line| &line.json).collect::<Vec<_>>(),
        });
        tell(call, &json, || text(call.m, session, &filter, by, &totals, &lines))
    })
}

/// A line for each local day, the first one first.
async fn by_day(
    call: &Invocation<'_>,
    session: &Session,
    filter: &UsageFilter,
) -> Result<(Sums, Vec<Line>), Failure> {
    let zone = &session.config.zone;
    let totals = session.db.usage_report_of(filter, GroupBy::Token).await?;
    let day_of = |at: UnixMs| at.zoned(zone).date();
    // Without a start the first day is that of the first call.
    let first = filter.from.or_else(|| totals.series.keys().next().copied());
    let last = filter.to.map_or_else(|| session.now(), |to| UnixMs(to.0 - 1));
    let Some(first) = first else { return Ok((totals.sums, Vec::new())) };
    let (mut day, last) = (day_of(first), day_of(last));
    let mut lines = Vec::new();
    while day <= last {
        if lines.len() >= MOST_DAYS {
            return Err(Failure::option("--since", call.m.terminal.too_many_days(MOST_DAYS)));
        }
        let border = |day: Date, end| when::point(&day.to_string(), zone, end);
        let of_day = UsageFilter {
            from: border(day, false).max(filter.from),
            to: [border(day, true), filter.to].into_iter().flatten().min(),
            ..filter.clone()
        };
        let sums = session.db.usage_report_of(&filter::aligned(of_day), GroupBy::Token).await?.sums;
        let json = json!({ "kind": "day", "name": day.to_string(), "sums": view::sums(&sums) });
        lines.push(Line { name: day.to_string(), sums, json });
        let Ok(tomorrow) = day.tomorrow() else { break };
        day = tomorrow;
    }
    Ok((totals.sums, lines))
}

fn name_of(m: Messages, name: &GroupName) -> String {
    let with_deleted = |name: String, deleted: bool| {
        if deleted { format!("{name} ({})", m.log.deleted()) } else { name }
    };
    match name {
        GroupName::None => NOTHING.to_owned(),
        GroupName::Others => m.usage.others().to_owned(),
        GroupName::Token(token) => with_deleted(named_text(&token.name, token.id), token.deleted),
        GroupName::Channel(channel) => with_deleted(named_text(&channel.name, channel.id), channel.deleted),
        GroupName::Key(key, channel) => {
            let channel = channel.as_ref().map(|channel| named_text(&channel.name, channel.id));
            let names: Vec<String> = channel.into_iter().chain([key_text(key)]).collect();
            with_deleted(names.join(" · "), key.deleted)
        }
        GroupName::Model(model) | GroupName::Upstream(model) => model.clone(),
    }
}

fn text(
    m: Messages,
    session: &Session,
    filter: &UsageFilter,
    by: By,
    totals: &Sums,
    lines: &[Line],
) -> String {
    let u = m.usage;
    let from = filter.from.map_or_else(|| u.since_start().to_owned(), |from| session.local(from));
    let to = filter.to.map_or_else(|| u.until_now().to_owned(), |to| session.local(to));
    let period = u.span(&from, &to, session.config.zone.iana_name().unwrap_or("UTC"));
    if totals.requests == 0 && lines.is_empty() {
        return format!("{period}\n{}", u.empty());
    }
    let mut table = Table::new([
        by.heading(m),
        u.requests(),
        u.errors(),
        u.success_rate(),
        u.prompt(),
        u.completion(),
        u.cost(),
        u.first_token(),
        u.total(),
    ]);
    for (name, sums) in
        lines.iter().map(|line| (line.name.as_str(), &line.sums)).chain([(m.terminal.sum(), totals)])
    {
        let estimated = sums.estimated > 0;
        let tokens = |count: u64| {
            Cell::number(approximate(number(i64::try_from(count).unwrap_or(i64::MAX)), estimated))
        };
        table.row([
            Cell::text(name),
            Cell::number(number(sums.requests)),
            Cell::number(number(sums.failed())),
            Cell::number(share(sums.ok, sums.requests)),
            tokens(sums.tokens.prompt),
            tokens(sums.tokens.completion),
            Cell::number(approximate(money(sums.cost_micros), estimated)),
            Cell::number(quantiles(m, sums.first_token.quantile(0.5), sums.first_token.quantile(0.95))),
            Cell::number(quantiles(m, sums.total.quantile(0.5), sums.total.quantile(0.95))),
        ]);
    }
    format!("{}\n\n{}", clean(&period), table.draw())
}

fn quantiles(m: Messages, median: Option<u32>, high: Option<u32>) -> String {
    match (median, high) {
        (Some(median), Some(high)) => format!("{} / {}", duration(m, median), duration(m, high)),
        _ => NOTHING.to_owned(),
    }
}

/// RFC 4180, with names that are the same in every language.
fn csv(by: By, lines: &[Line]) -> String {
    let mut text = format!(
        "{},requests,ok,failed,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens,estimated,cost_dollars,\
         first_token_p50_ms,first_token_p95_ms,total_p50_ms,total_p95_ms\r\n",
        by.name()
    );
    for Line { name, sums, .. } in lines {
        let optional = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            cell(name),
            sums.requests.to_string(),
            sums.ok.to_string(),
            sums.failed().to_string(),
            sums.tokens.prompt.to_string(),
            sums.tokens.cached.to_string(),
            sums.tokens.completion.to_string(),
            sums.tokens.reasoning.to_string(),
            sums.estimated.to_string(),
            plain_money(sums.cost_micros),
            optional(sums.first_token.quantile(0.5)),
            optional(sums.first_token.quantile(0.95)),
            optional(sums.total.quantile(0.5)),
            optional(sums.total.quantile(0.95)),
        ];
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}
