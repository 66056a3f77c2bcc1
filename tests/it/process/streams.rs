//! Many streams at once.

use std::time::Duration;

use tokio::time::Instant;

use super::{Fake, Folder, alone, beside, many_files, middle_and_most};
use crate::support::{
    app::{self, TOKEN},
    upstream::answer,
};

const STREAMS: usize = 2000;
const WORDS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_at_once_arrive_exactly_in_little_memory() {
    let _alone = alone().await;
    many_files();
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[]);
    let http = super::client();
    // Whatever is only set up once is not the streams'.
    for _ in 0..3 {
        assert!(server.chat(&http, "m", true, "words=3").await.expect("an answer").done());
    }
    let idle = server.resident_kib();
    let url = server.url("/v1/chat/completions");
    let began = Instant::now();
    let streams: Vec<_> = (0..STREAMS)
        .map(|number| {
            let body = app::chat("m", true, &format!("marker=s{number} words={WORDS} delay=500"));
            let request = http.post(&url).bearer_auth(TOKEN).json(&body);
            beside(async move {
                // One after the other, as clients come; all are there long before the first one ends.
                tokio::time::sleep(Duration::from_millis(number as u64)).await;
                let sent = Instant::now();
                let mut response = request.send().await.map_err(|error| format!("{number}: {error:?}"))?;
                let mut first = None;
                let (mut body, status) = (Vec::new(), response.status());
                while let Some(chunk) =
                    response.chunk().await.map_err(|error| format!("{number}: {error:?}"))?
                {
                    first.get_or_insert_with(|| sent.elapsed());
                    body.extend_from_slice(&chunk);
                }
                let text = String::from_utf8_lossy(&body);
                let content: String = text
                    .split("\n\n")
                    .filter_map(|event| {
                        serde_json::from_str::<serde_json::Value>(event.strip_prefix("data: ")?).ok()
                    })
                    .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
                    .collect();
                let expected = answer::text(&format!("s{number}"), WORDS);
                if content != expected || !text.ends_with("data: [DONE]\n\n") {
                    return Err(format!("{number}: {status} {text}"));
                }
                Ok(first.unwrap_or_default())
            })
        })
        .collect();
    let (mut first, mut wrong) = (Vec::new(), Vec::new());
    for stream in streams {
        match stream.await.expect("a client") {
            Ok(time) => first.push(time),
            Err(error) => wrong.push(error),
        }
    }
    assert!(wrong.is_empty(), "{} streams are wrong, such as {}", wrong.len(), wrong[0]);
    let took = began.elapsed();
    let peak = server.peak_kib();
    let at_once = fake.ask("connections").await["most_open"].as_u64().unwrap_or_default();
    let each = (peak.saturating_sub(idle)) as f64 / STREAMS as f64;
    let (middle, most) = middle_and_most(&mut first);
    let p99 = first[first.len() * 99 / 100].as_millis();
    println!(
        "streams: {STREAMS} ({at_once} upstream connections at once), all exact in {:.1} s; resident {idle} KiB idle, {peak} KiB \
         peak: {each:.1} KiB each; first event after {middle} ms (middle), {p99} ms (99 %), {most} ms (most)",
        took.as_secs_f32()
    );
    assert!(at_once >= STREAMS as u64, "not at once: {at_once}");
    assert!(each <= 64.0, "{each} KiB each");
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    assert_eq!(
        app::number(&folder.database(), "SELECT COUNT(*) FROM usage WHERE result = 'ok'").await,
        3 + STREAMS as i64
    );
    folder.check_sums().await;
}
