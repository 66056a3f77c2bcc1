//! Moves rows: from memory to the journal, from the journal to the database.

use std::{
    io,
    sync::{Arc, Mutex, atomic::Ordering},
};

use super::{
    Broken, Group, Kept, Shared, confirm,
    journal::{self, Contents, Damage, Journal, REPLAYED, Segment},
    lock,
};

/// Both ways, until the recorder is shut down.
pub(super) async fn run(shared: Arc<Shared>) {
    tokio::join!(append_rows(&shared), copy_rows(&shared));
    lock(&shared.queue).closed = true;
    let late = shared.clone();
    // An error means that the runtime is ending; then the files are closed with it.
    let _ = tokio::task::spawn_blocking(move || late.write_late_rows()).await;
}

/// Appends to the journal whatever is queued, as often as it takes.
async fn append_rows(shared: &Arc<Shared>) {
    loop {
        // Whoever is ready to run may have a row too: then one write takes them all.
        tokio::task::yield_now().await;
        let Group { lines, records, last_row, waiting, rows } = shared.take_group();
        if rows == 0 {
            tokio::select! {
                () = shared.queued.notified() => continue,
                () = shared.stop.cancelled() => return,
            }
        }
        let (lines, records) = (Arc::new(lines), Arc::new(Mutex::new(records)));
        while let Err(error) = append(shared, &lines, &records, last_row).await {
            shared.raise(&shared.journal_trouble, Broken::Journal, error.to_string());
            let again = shared.stop.run_until_cancelled(tokio::time::sleep(shared.limits.retry)).await;
            if again.is_none() {
                tracing::error!(rows, "lost usage rows: the journal could not be written until the end");
                return;
            }
        }
        shared.clear(&shared.journal_trouble, Broken::Journal);
        shared.in_memory.fetch_sub(rows, Ordering::Relaxed);
        confirm(waiting);
        shared.journaled.notify_one();
    }
}

/// Writes lines to the journal; once they are there it takes their records.
async fn append(
    shared: &Arc<Shared>,
    lines: &Arc<Vec<u8>>,
    records: &Arc<Mutex<Kept>>,
    last_row: u64,
) -> io::Result<()> {
    let (lines, records) = (lines.clone(), records.clone());
    let mut write = std::pin::pin!(with_journal(shared, move |journal| {
        journal.append(&lines, &mut lock(&records), last_row)
    }));
    match tokio::time::timeout(shared.limits.wait, &mut write).await {
        Ok(done) => done,
        Err(_) => {
            // It neither fails nor ends: a disk or a network folder that hangs.
            let detail = "the disk does not answer".to_owned();
            shared.raise(&shared.journal_trouble, Broken::Journal, detail);
            write.await
        }
    }
}

/// Copies the journal to the database: at once what is there at the start, then what comes.
async fn copy_rows(shared: &Arc<Shared>) {
    while let Some(copied) = shared.stop.run_until_cancelled(copy_all(shared)).await {
        let pause = async {
            if let Err(error) = copied {
                shared.raise(&shared.database_trouble, Broken::Database, error);
                return tokio::time::sleep(shared.limits.retry).await;
            }
            shared.clear(&shared.database_trouble, Broken::Database);
            // A whole pass has copied what earlier runs left, also if that was nothing.
            shared.copied.send_modify(|copied| *copied = REPLAYED.max(*copied));
            shared.journaled.notified().await;
            let collected = tokio::time::sleep(shared.limits.collect);
            tokio::pin!(collected);
            while shared.wanted.load(Ordering::Acquire) <= *shared.copied.borrow() {
                tokio::select! {
                    () = &mut collected => break,
                    () = shared.hurry.notified() => {}
                }
            }
        };
        if shared.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Copies every segment, the last of them the one that was being written.
async fn copy_all(shared: &Arc<Shared>) -> Result<(), String> {
    let mut seal = false;
    loop {
        let oldest = with_journal(shared, move |journal| journal.oldest(seal)).await;
        match oldest.map_err(|error| error.to_string())? {
            Some(segment) => copy_segment(shared, segment).await?,
            None if seal => return Ok(()),
            // Only now, so that a database that fails for hours does not leave a file per try.
            None => {
                seal = true;
                continue;
            }
        }
        if seal {
            return Ok(());
        }
    }
}

/// Copies one segment and deletes it, or sets it aside if it is damaged. After an error it may be copied again.
async fn copy_segment(shared: &Arc<Shared>, mut segment: Segment) -> Result<(), String> {
    let path = segment.path.clone();
    let contents = match segment.kept.take() {
        Some(rows) => Contents { rows, damage: Damage::None },
        None => blocking(move || journal::read(&path)).await.map_err(|error| error.to_string())?,
    };
    for rows in contents.rows.chunks(shared.limits.batch_rows.max(1)) {
        shared.expect_progress();
        let inserted = shared.db.insert_usage(rows).await.map_err(|error| error.to_string())?;
        if inserted > 0 {
            shared.clear(&shared.database_trouble, Broken::Database);
            shared.committed.send_modify(|committed| *committed += inserted);
            if let Some(counted) = &shared.counted {
                // Of a batch that is copied again after a crash, what was there already stands at its begin.
                let known = rows.len().saturating_sub(usize::try_from(inserted).unwrap_or(usize::MAX));
                counted(&rows[known..]);
            }
        }
    }
    let file = segment.path.display();
    let keep = match contents.damage {
        Damage::None => false,
        Damage::TornTail => {
            tracing::warn!(%file, "skipped the torn end of a journal file");
            false
        }
        Damage::Lines(lines) => {
            tracing::error!(%file, lines, "skipped damaged rows of a journal file, which is kept as .bad");
            true
        }
    };
    let last_row = segment.last_row;
    with_journal(shared, move |journal| journal.finish(&segment, keep))
        .await
        .map_err(|error| error.to_string())?;
    shared.copied.send_modify(|copied| *copied = last_row.max(*copied));
    Ok(())
}

/// Does something with the journal's files where blocking is allowed.
async fn with_journal<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&mut Journal) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let journal = shared.journal.clone();
    blocking(move || work(&mut lock(&journal))).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
