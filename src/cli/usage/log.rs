//! `onepool usage log`: single calls, the newest first.

use serde_json::{Value, json};

use super::filter;
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, complain, print, print_raw},
        session::{Session, on_folder},
        view,
    },
    i18n::Messages,
    model::usage::CallResult,
    storage::usage_query::{
        UsageFilter,
        rows::{Place, UsageRow},
    },
    web::{
        admin::log::{
            csv::{COLUMNS, line},
            names::{key_text, named_text},
        },
        format::{approximate, duration, money, number, optional_duration},
    },
};

/// How many calls are shown if nobody says.
const USUAL: usize = 50;
/// The most calls of one command.
const MOST: usize = 100_000;
/// Calls that are read at a time.
const CHUNK: usize = 1000;

/// `onepool usage log`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let limit = filter::limit(call, USUAL, MOST)?;
    on_folder(call, async |session| {
        let filter = filter::read(call, session).await?;
        if call.is_on("csv") {
            return write_csv(session, &filter, limit).await;
        }
        let mut rows = Vec::new();
        let next = read(session, &filter, limit, |more| {
            rows.extend(more);
            Ok(())
        })
        .await?;
        if call.is_on("json") {
            let items: Vec<Value> = rows.iter().map(view::call).collect();
            return print(&format!("{:#}", json!({ "items": items, "next": next })));
        }
        if rows.is_empty() {
            return print(call.m.log.nothing_found());
        }
        print(&table(call.m, session, &rows).draw())?;
        if next.is_some() {
            complain(&call.m.terminal.more_calls(limit));
        }
        Ok(())
    })
}

/// Reads calls in parts and hands each part on; gives where older ones begin, if there are any.
async fn read(
    session: &Session,
    filter: &UsageFilter,
    limit: usize,
    mut take: impl FnMut(Vec<UsageRow>) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    let (mut place, mut left) = (Place::Newest, limit);
    loop {
        let page = session.db.usage_page(filter, place, left.min(CHUNK)).await?;
        left -= page.rows.len();
        let last = page.rows.last().map(UsageRow::cursor);
        take(page.rows)?;
        match last.filter(|_| page.older) {
            None => return Ok(None),
            Some(cursor) if left == 0 => return Ok(Some(cursor.to_string())),
            Some(cursor) => place = Place::Before(cursor),
        }
    }
}

/// The same file as the page's, without the mark that Excel needs: shells do not expect it.
async fn write_csv(session: &Session, filter: &UsageFilter, limit: usize) -> Result<(), Failure> {
    print_raw(COLUMNS)?;
    read(session, filter, limit, |rows| {
        print_raw(&rows.iter().map(|row| line(row, &session.config.zone)).collect::<String>())
    })
    .await?;
    Ok(())
}

fn table(m: Messages, session: &Session, rows: &[UsageRow]) -> Table {
    let l = m.log;
    let mut table = Table::new([
        l.time(),
        l.token(),
        l.model(),
        l.channel_and_key(),
        l.status(),
        l.result(),
        l.attempts(),
        l.first_and_total(),
        l.tokens(),
        l.cost(),
    ]);
    for row in rows {
        let look = if row.result == CallResult::Ok { Look::Good } else { Look::Bad };
        let channel = row.channel.as_ref().map(|channel| named_text(&channel.name, channel.id));
        let channel_and_key: Vec<String> =
            channel.into_iter().chain(row.key.as_ref().map(key_text)).collect();
        let counts = format!("{} / {}", number_of(row.tokens.prompt), number_of(row.tokens.completion));
        table.row([
            Cell::text(session.local(row.at)),
            Cell::text(named_text(&row.token.name, row.token.id)),
            Cell::text(&row.asked_model),
            Cell::text(channel_and_key.join(" · ")),
            Cell::number(row.status.to_string()),
            Cell::text(l.result_name(row.result)).look(look),
            Cell::number(row.attempt_count.to_string()),
            Cell::number(format!(
                "{} / {}",
                optional_duration(m, row.first_token_ms),
                duration(m, row.total_ms)
            )),
            Cell::number(approximate(counts, row.estimated)),
            Cell::number(approximate(
                money(row.cost_micros),
                row.estimated || row.units.as_ref().is_some_and(|units| units.estimated),
            )),
        ]);
    }
    table
}

fn number_of(count: u64) -> String {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}
