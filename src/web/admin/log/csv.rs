//! `/log.csv`: the rows that the filter finds, as a file.
//!
//! RFC 4180 in UTF-8. It begins with a byte order mark, because Excel takes a file without one for the system's old
//! code page and garbles Chinese names; other programs skip it. Column names are stable and the same in every language.
//! A cell that a spreadsheet would run as a formula begins with an apostrophe
//! (<https://owasp.org/www-community/attacks/CSV_Injection>).

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::tz::TimeZone;

use super::{
    names::{key_text, named_text},
    query::LogQuery,
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{catalog::Catalog, decimal, time::Clock, usage::Units},
    storage::{
        Db, StorageError,
        usage_query::{
            UsageFilter,
            rows::{Place, UsageRow},
        },
    },
    web::{Site, admin::visit::Operator, format::plain_money},
};

/// The most rows of a file.
const MAX_ROWS: usize = 100_000;

/// Rows that are read and sent at a time.
const CHUNK_ROWS: usize = 1000;

/// The first line of a file of calls.
pub const COLUMNS: &str = "time,request_id,token,asked_model,served_model,channel,key,endpoint,stream,status,result,\
    error_code,attempts,queue_ms,first_token_ms,total_ms,prompt_tokens,cached_tokens,completion_tokens,\
    reasoning_tokens,estimated,cost_dollars,client_address,client_kind,trace_id,images,\
    image_size,image_quality,audio_seconds,characters,video_seconds,video_size,searches,units_estimated\r\n";

/// `GET /log.csv`.
pub fn router() -> Router<Site> {
    Router::new().route("/log.csv", get(download))
}

async fn download(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let (t, now) = (operator.t(), clock.now());
    let q = LogQuery::read(&query.unwrap_or_default(), now, &catalog.zone, t);
    if !q.errors.is_empty() {
        return Err(Error::BadRequest(t.log.check_filters().into()));
    }
    let mut file = File {
        db,
        filter: q.filter,
        zone: catalog.zone.clone(),
        t,
        place: Some(Place::Newest),
        written: 0,
        max_rows: MAX_ROWS,
    };
    // The first rows are read before the answer begins, so that a failure is still a page.
    let first = match file.next().await {
        Err(StorageError::TooSlow) => return Err(Error::BadRequest(t.log.too_slow().into())),
        other => other?.unwrap_or_default(),
    };
    let head = Bytes::from(format!("\u{feff}{COLUMNS}{first}"));
    let rest = futures_util::stream::try_unfold(file, |mut file| async move {
        Ok::<_, StorageError>(file.next().await?.map(|rows| (Bytes::from(rows), file)))
    });
    let body = futures_util::StreamExt::chain(
        futures_util::stream::once(std::future::ready(Ok::<_, StorageError>(head))),
        rest,
    );
    let name = now.zoned(&catalog.zone).strftime("onepool-usage-%Y%m%d-%H%M%S.csv");
    Ok((
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ],
        Body::from_stream(body),
    )
        .into_response())
}

/// A file while it is written.
struct File {
    db: Db,
    filter: UsageFilter,
    zone: TimeZone,
    t: Messages,
    /// Where the next rows begin; `None` at the end.
    place: Option<Place>,
    written: usize,
    max_rows: usize,
}

impl File {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, StorageError> {
        let Some(place) = self.place else { return Ok(None) };
        let limit = CHUNK_ROWS.min(self.max_rows - self.written);
        let page = self.db.usage_page(&self.filter, place, limit).await?;
        self.written += page.rows.len();
        let mut lines: String = page.rows.iter().map(|row| line(row, &self.zone)).collect();
        self.place = page.rows.last().filter(|_| page.older).map(|row| Place::Before(row.cursor()));
        if self.place.is_some() && self.written >= self.max_rows {
            self.place = None;
            lines.push_str(&cell(&self.t.log.csv_truncated(self.written)));
            lines.push_str("\r\n");
        }
        Ok(Some(lines))
    }
}

/// A call as a line, with the time on the clock of a zone.
pub fn line(row: &UsageRow, zone: &TimeZone) -> String {
    let number = |value: u64| value.to_string();
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    // Beside tokens: empty where a call uses none of it.
    let none = Units::default();
    let units = row.units.as_ref().unwrap_or(&none);
    let used = |count: u64| if count == 0 { String::new() } else { number(count) };
    let seconds = |ms: u64| match i64::try_from(ms) {
        Ok(ms @ 1..) => decimal::show(ms, 3),
        _ => String::new(),
    };
    let cells = [
        row.at.zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        row.request_id.to_string(),
        named_text(&row.token.name, row.token.id),
        row.asked_model.clone(),
        optional(&row.served_model),
        row.channel.as_ref().map(|channel| named_text(&channel.name, channel.id)).unwrap_or_default(),
        row.key.as_ref().map(key_text).unwrap_or_default(),
        row.endpoint.to_string(),
        row.stream.to_string(),
        row.status.to_string(),
        row.result.to_string(),
        optional(&row.error_code),
        number(row.attempt_count.into()),
        number(row.queue_ms.into()),
        row.first_token_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        number(row.total_ms.into()),
        number(row.tokens.prompt),
        number(row.tokens.cached),
        number(row.tokens.completion),
        number(row.tokens.reasoning),
        row.estimated.to_string(),
        plain_money(row.cost_micros),
        row.client_address.clone(),
        row.client_kind.clone(),
        optional(&row.trace_id),
        used(units.images),
        optional(&units.image_size),
        optional(&units.image_quality),
        seconds(units.audio_ms),
        used(units.characters),
        seconds(units.video_ms),
        optional(&units.video_size),
        used(units.searches),
        row.units.as_ref().map(|units| units.estimated.to_string()).unwrap_or_default(),
    ];
    let mut line = cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A text as a cell: no formula, and quoted if need be.
pub fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        model::usage::UsageRecord,
        storage::{
            recording::tests::{open, record},
            usage_query::fixtures,
        },
        web::browser::Browser,
    };

    #[test]
    fn no_cell_is_a_formula_and_every_cell_stays_one() {
        for (text, expected) in [
            ("plain", "plain"),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"\r\n=1", "\"say \"\"hi\"\"\r\n=1\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[tokio::test]
    async fn the_file_has_the_filtered_rows_with_names_and_begins_with_a_mark_for_excel() {
        let formula = UsageRecord { asked_model: "=HYPERLINK(1)".into(), ..record(2) };
        let browser = Browser::new(&[record(1), formula]).await;
        let file = browser.get("/log.csv?stream=true").await;
        assert_eq!(file.status, 200);
        let lines: Vec<&str> = file.text.strip_prefix('\u{feff}').unwrap().split("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time,request_id,token,"));
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert!(lines[1].contains(",laptop,\"'=HYPERLINK(1)\",llama,Groq <free>,…bbbb,chat,true,200,ok,"));
        assert!(lines[1].contains(",0.000007,"));
        assert!(lines[1].ends_with(",curl,,,,,,,,,,"), "{}", lines[1]);
        assert_eq!(browser.get("/log.csv?status=odd").await.status, 400);
    }

    #[tokio::test]
    async fn what_a_call_used_beside_tokens_has_columns_of_its_own() {
        let units = Units {
            images: 2,
            image_size: Some("1024x1024".into()),
            audio_ms: 3500,
            searches: 1,
            estimated: true,
            ..Units::default()
        };
        let browser = Browser::new(&[UsageRecord { units: Some(Box::new(units)), ..record(1) }]).await;
        let file = browser.get("/log.csv").await;
        let lines: Vec<&str> = file.text.split("\r\n").collect();
        let columns = "images,image_size,image_quality,audio_seconds,characters,video_seconds,video_size,searches,units_estimated";
        assert!(lines[0].ends_with(columns), "{}", lines[0]);
        assert!(lines[1].ends_with(",2,1024x1024,,3.5,,,,1,true"), "{}", lines[1]);
    }

    #[tokio::test]
    async fn a_file_ends_at_its_bound_with_a_notice() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        fixtures::names(&db).await;
        db.insert_usage(&(1..=CHUNK_ROWS as u32 + 30).map(record).collect::<Vec<_>>()).await.unwrap();
        let file = |max_rows| File {
            db: db.clone(),
            filter: UsageFilter::default(),
            zone: TimeZone::UTC,
            t: Messages::of(Lang::En),
            place: Some(Place::Newest),
            written: 0,
            max_rows,
        };
        for (max_rows, lines, notice) in
            [(MAX_ROWS, CHUNK_ROWS + 30, false), (CHUNK_ROWS + 10, CHUNK_ROWS + 11, true)]
        {
            let (mut file, mut text) = (file(max_rows), String::new());
            while let Some(rows) = file.next().await.unwrap() {
                text += &rows;
            }
            assert_eq!(text.lines().count(), lines);
            assert_eq!(text.lines().last().unwrap().starts_with("Stopped after 1010 rows"), notice);
        }
    }
}
