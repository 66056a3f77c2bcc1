//! Large uploads and downloads: what they take of memory, and that nothing of them stays.

use std::{io, process::Command};

use futures_util::stream;

use super::{Fake, Folder, alone, beside, many_files};
use crate::support::app::{Reply, TOKEN};

const UPLOADS: usize = 50;
const UPLOAD_BYTES: usize = 25_000_000;
const DOWNLOAD_BYTES: usize = 300_000_000;
const PIECE_BYTES: usize = 50_000;

/// A form with a file, made while it is sent.
fn form(number: usize) -> reqwest::Body {
    let head = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n";
    let pieces = (0..UPLOAD_BYTES / PIECE_BYTES).map(move |_| vec![number as u8; PIECE_BYTES]);
    let all = std::iter::once(head.as_bytes().to_vec()).chain(pieces).chain([b"\r\n--b--\r\n".to_vec()]);
    reqwest::Body::wrap_stream(stream::iter(all.map(io::Result::Ok)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_large_uploads_at_once_and_a_large_download_take_little_memory() {
    let _alone = alone().await;
    many_files();
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[]);
    let http = super::client();
    // Whatever is only set up once is not theirs.
    for _ in 0..3 {
        assert!(server.chat(&http, "m", true, "words=3").await.expect("an answer").done());
    }
    let idle = server.resident_kib();

    let asked = serde_json::json!({
        "model": "m", "voice": "a", "input": format!("bytes={DOWNLOAD_BYTES} chunked delay=0")
    });
    let request = http.post(server.url("/v1/audio/speech")).bearer_auth(TOKEN).json(&asked);
    let mut response = request.send().await.expect("an answer");
    let mut length = 0;
    while let Some(piece) = response.chunk().await.expect("a whole answer") {
        length += piece.len();
    }
    assert_eq!(length, DOWNLOAD_BYTES);
    let after_download = server.peak_kib();

    // Of a video the same.
    let asked = serde_json::json!({"model": "m", "prompt": format!("polls=0 bytes={DOWNLOAD_BYTES}")});
    let request = http.post(server.url("/v1/videos")).bearer_auth(TOKEN).json(&asked);
    let video: serde_json::Value = request.send().await.expect("an answer").json().await.expect("a video");
    let path = format!("/v1/videos/{}/content", video["id"].as_str().expect("an id"));
    let mut response = http.get(server.url(&path)).bearer_auth(TOKEN).send().await.expect("an answer");
    let mut length = 0;
    while let Some(piece) = response.chunk().await.expect("a whole answer") {
        length += piece.len();
    }
    assert_eq!(length, DOWNLOAD_BYTES);
    let after_video = server.peak_kib();

    let uploads: Vec<_> = (0..UPLOADS)
        .map(|number| {
            let request = http
                .post(server.url("/v1/audio/transcriptions"))
                .bearer_auth(TOKEN)
                .header("content-type", "multipart/form-data; boundary=b")
                .body(form(number));
            beside(async move {
                let response = request.send().await.map_err(|error| format!("{number}: {error:?}"))?;
                let (status, text) = (response.status(), response.text().await.unwrap_or_default());
                if text.contains("heard abc") { Ok(()) } else { Err(format!("{number}: {status} {text}")) }
            })
        })
        .collect();
    let mut wrong = Vec::new();
    for upload in uploads {
        wrong.extend(upload.await.expect("a client").err());
    }
    assert!(wrong.is_empty(), "{} uploads are wrong, such as {}", wrong.len(), wrong[0]);
    let after_uploads = server.peak_kib();
    let above = |peak: u64| peak.saturating_sub(idle) / 1024;
    println!(
        "resident {idle} KiB idle; a download of {} MB: {} MB above that, then one of a video as large: {} MB; {UPLOADS} uploads of {} MB at once: {} MB above it",
        DOWNLOAD_BYTES / 1_000_000,
        above(after_download),
        above(after_video),
        UPLOAD_BYTES / 1_000_000,
        above(after_uploads)
    );
    assert!(above(after_download) <= 10, "{after_download} KiB after the download, {idle} idle");
    assert!(above(after_video) <= 10, "{after_video} KiB after the video, {idle} idle");
    assert!(above(after_uploads) <= 120, "{after_uploads} KiB after the uploads, {idle} idle");
    assert_eq!(std::fs::read_dir(folder.data().join("uploads")).expect("the folder").count(), 0);
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
}

/// Ways to give a process file systems of its own: as root, and as anybody where that is allowed.
const OWN_MOUNTS: [&[&str]; 2] = [&["-m"], &["-rm"]];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_fills_the_disk_is_a_507_and_gives_the_room_back() {
    let _alone = alone().await;
    // A disk of one megabyte, which only the server sees.
    let mount = "mount -t tmpfs -o size=1m,mode=700 uploads";
    let folder_to_try = tempfile::tempdir().expect("a folder");
    let works = |flags: &&&[&str]| {
        let mut command = Command::new("unshare");
        command.args(**flags).args(["sh", "-c", &format!("{mount} \"$0\"")]).arg(folder_to_try.path());
        command.output().is_ok_and(|output| output.status.success())
    };
    let Some(flags) = OWN_MOUNTS.iter().find(works) else {
        println!("skipped: this machine lets the test mount no file system of its own (unshare -m, -rm)");
        return;
    };
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let uploads = folder.data().join("uploads");
    std::fs::create_dir(&uploads).expect("the folder");
    let mut command = Command::new("unshare");
    let script = format!("{mount} '{}' && exec \"$0\"", uploads.display());
    command.args(*flags).args(["sh", "-c", &script]);
    let mut server = folder.start_by(command, &[]);
    let http = super::client();
    let send = async |length: usize| {
        let file = reqwest::multipart::Part::bytes(vec![7; length]).file_name("a.mp3");
        let form = reqwest::multipart::Form::new().text("model", "m").part("file", file);
        let request =
            http.post(server.url("/v1/audio/transcriptions")).bearer_auth(TOKEN).multipart(form).send();
        Reply::read(request.await.expect("an answer")).await
    };
    for _ in 0..3 {
        let full = send(3_000_000).await;
        assert_eq!((full.status, full.code().as_str()), (507, "insufficient_storage"), "{}", full.text());
        // Nearly all of the disk is free again.
        let fits = send(900_000).await;
        assert_eq!(fits.status, 200, "{}", fits.text());
    }
    assert_eq!(fake.calls().await.len(), 3, "what cannot be kept is not sent");
    let seen = format!("/proc/{}/root{}", server.child.id(), uploads.display());
    assert_eq!(std::fs::read_dir(seen).expect("the folder as the server sees it").count(), 0);
    assert!(folder.log().contains("an upload cannot be kept"), "{}", folder.log());
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
}
