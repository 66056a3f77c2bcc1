//! When messages go out: gathered, limited, tried again, not lost by a kill and not sent twice by it, with the time set by hand.

use std::{io::Write as _, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use onepool::{
    jobs::notices::Desk,
    model::{
        notice::{Event, EventKind, NewTarget, Policy, Transport},
        time::{Clock, UnixMs},
        token::{Quota, QuotaReset, QuotaUnit},
    },
    notices::outbox::BACK_OFF,
    storage::channels::NewChannel,
};

use super::{Office, Receiver};
use crate::support::{
    app::execute,
    raw::{Gate, write_json},
};

const MINUTE: Duration = Duration::from_secs(60);

fn clock() -> Clock {
    Clock::manual(UnixMs(1_800_000_000_000))
}

/// Whom only backups that fail are told of: with the hours that pass here, a digest would come as well.
fn target(transport: Transport) -> NewTarget {
    NewTarget { kinds: vec![EventKind::BackupFailed], ..super::target(transport) }
}

#[tokio::test]
async fn the_first_event_is_told_at_once_and_the_next_ones_together_with_their_number() {
    let office = Office::open(clock()).await;
    let receiver = Receiver::saying("{}");
    office.add(&target(receiver.hook())).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "first").await;
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 1);
    for reason in ["second", "third", "fourth"] {
        office.parts.clock.advance(MINUTE);
        office.happen(&mut desk, reason).await;
        desk.round().await.unwrap();
    }
    assert_eq!(receiver.bodies().len(), 1, "they wait for the end of the five minutes");
    office.parts.clock.advance(MINUTE * 2);
    desk.round().await.unwrap();
    let body = receiver.bodies().remove(1);
    assert_eq!(body["title"], "OnePool: A backup failed × 3");
    assert_eq!(body["events"].as_array().unwrap().len(), 3);
    office.parts.clock.advance(MINUTE * 60);
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 2, "nothing is told twice");
}

#[tokio::test]
async fn no_more_messages_an_hour_than_the_operator_wants() {
    let office = Office::open(clock()).await;
    let receiver = Receiver::saying("{}");
    let policy = Policy { group_minutes: 0, most_per_hour: 2, ..Policy::default() };
    office.add(&NewTarget { policy, ..target(receiver.hook()) }).await;
    let mut desk = Desk::new(office.parts.clone());
    for number in 0..6 {
        office.happen(&mut desk, &number.to_string()).await;
        desk.round().await.unwrap();
        office.parts.clock.advance(MINUTE);
    }
    assert_eq!(receiver.bodies().len(), 2);
    office.parts.clock.advance(MINUTE * 60);
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies()[2]["events"].as_array().unwrap().len(), 4, "the rest goes out as one");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_waits_and_what_was_told_is_not_told_again() {
    let mut office = Office::open(clock()).await;
    let receiver = Receiver::saying("{}");
    let id = office.add(&target(receiver.hook())).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "told").await;
    desk.round().await.unwrap();
    office.parts.clock.advance(MINUTE);
    office.happen(&mut desk, "waits for its window").await;
    drop(desk);
    office.reopen().await;
    let mut desk = Desk::new(office.parts.clone());
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 1, "told once, and the other one still waits");
    office.parts.clock.advance(MINUTE * 5);
    // A kill between the moment at which it was to be sent and the note of what came of it.
    desk.look().await.unwrap();
    drop(desk.due().await.unwrap());
    drop(desk);
    office.reopen().await;
    let mut desk = Desk::new(office.parts.clone());
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 1, "it may be on its way");
    office.parts.clock.advance(MINUTE);
    desk.round().await.unwrap();
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[1]["text"].as_str().unwrap().contains("waits for its window"), "{bodies:?}");
    assert_ne!(bodies[0]["id"], bodies[1]["id"]);
    let (sent, waiting) = office.parts.db.sent_notices(id, 10).await.unwrap();
    assert_eq!((sent.len(), sent[0].tries, waiting), (2, 2, 0));
}

#[tokio::test]
async fn a_receiver_that_is_away_is_tried_ever_later_with_the_same_message_and_given_up_visibly() {
    let office = Office::open(clock()).await;
    let receiver = Receiver::with(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 503 Away\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    let id = office.add(&target(receiver.hook())).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "one").await;
    desk.round().await.unwrap();
    for wait in BACK_OFF {
        office.parts.clock.advance(wait - Duration::from_secs(1));
        let before = receiver.got().len();
        desk.round().await.unwrap();
        assert_eq!(receiver.got().len(), before, "not before its time");
        office.parts.clock.advance(Duration::from_secs(1));
        desk.round().await.unwrap();
        assert_eq!(receiver.got().len(), before + 1);
    }
    let bodies = receiver.bodies();
    assert!(
        bodies.iter().all(|body| body["id"] == bodies[0]["id"]),
        "a receiver can tell that it is the same"
    );
    let (sent, waiting) = office.parts.db.sent_notices(id, 10).await.unwrap();
    let last = &sent[0];
    assert_eq!(
        (last.tries as usize, last.next_at, last.delivery.ok, waiting),
        (BACK_OFF.len() + 1, None, false, 0)
    );
    office.happen(&mut desk, "later events are not lost by it").await;
    desk.round().await.unwrap();
    assert_eq!(receiver.got().len(), bodies.len() + 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_target_and_gets_no_second_message_meanwhile() {
    let office = Office::open(clock()).await;
    let gate = Gate::default();
    let held = gate.clone();
    let hanging = Receiver::with(move |_, socket| {
        held.wait();
        write_json(socket, "{}");
    });
    let good = Receiver::saying("{}");
    office.add(&NewTarget { name: "a hanging one".into(), ..target(hanging.hook()) }).await;
    office.add(&NewTarget { name: "a good one".into(), ..target(good.hook()) }).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "one").await;
    let mut deliveries: FuturesUnordered<_> = desk.due().await.unwrap().into_iter().collect();
    assert_eq!(deliveries.len(), 2);
    let first = deliveries.next().await.unwrap();
    assert!(first.1.delivery.ok && good.bodies().len() == 1, "{first:?}");
    desk.note(first).await;
    office.parts.clock.advance(MINUTE * 6);
    office.happen(&mut desk, "two").await;
    let more: Vec<_> = desk.due().await.unwrap();
    assert_eq!(more.len(), 1, "only the good one is written to");
    deliveries.extend(more);
    let second = deliveries.next().await.unwrap();
    assert_eq!((second.0.target, good.bodies().len()), (onepool::model::id::NoticeTargetId(2), 2));
    desk.note(second).await;
    gate.open();
    let third = deliveries.next().await.unwrap();
    assert!(third.1.delivery.ok);
    desk.note(third).await;
}

#[tokio::test]
async fn quiet_hours_hold_back_what_can_wait_and_a_target_that_is_off_hears_nothing_later() {
    // 2027-01-15T08:00:00Z.
    let office = Office::open(clock()).await;
    let receiver = Receiver::saying("{}");
    let policy = Policy { quiet: Some((7 * 60, 9 * 60)), ..Policy::default() };
    let set = NewTarget { policy, ..target(receiver.hook()) };
    let id = office.add(&set).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "critical").await;
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 1, "what is critical is told at any time");
    office.happen(&mut desk, "waits").await;
    let off = NewTarget { enabled: false, ..set.clone() };
    office.parts.db.update_notice_target(id, &off).await.unwrap();
    desk.look().await.unwrap();
    office.parts.db.update_notice_target(id, &set).await.unwrap();
    office.parts.clock.advance(MINUTE * 10);
    desk.round().await.unwrap();
    assert_eq!(receiver.bodies().len(), 1);
}

#[tokio::test]
async fn a_target_whose_message_cannot_be_made_holds_up_no_other_and_gets_it_later() {
    let office = Office::open(clock()).await;
    let receivers = [Receiver::saying("{}"), Receiver::saying("{}"), Receiver::saying("{}")];
    for (receiver, name) in receivers.iter().zip(["first", "second", "third"]) {
        office.add(&NewTarget { name: name.into(), ..target(receiver.hook()) }).await;
    }
    let database = office.folder.path().join("onepool.db");
    execute(
        &database,
        "CREATE TRIGGER broken BEFORE INSERT ON notice_messages WHEN NEW.target_id = 2
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "one").await;
    desk.round().await.unwrap();
    let told = || receivers.iter().map(|receiver| receiver.bodies().len()).collect::<Vec<_>>();
    assert_eq!(told(), [1, 0, 1]);
    execute(&database, "DROP TRIGGER broken").await;
    office.parts.clock.advance(MINUTE * 6);
    office.happen(&mut desk, "two").await;
    desk.round().await.unwrap();
    assert_eq!(told(), [2, 1, 2], "all are written to again");
    assert_eq!(receivers[1].bodies()[0]["events"].as_array().unwrap().len(), 2, "nothing was lost");
}

#[tokio::test]
async fn an_event_that_can_no_longer_be_read_is_counted_and_the_others_of_its_message_are_told() {
    let office = Office::open(clock()).await;
    let receiver = Receiver::saying("{}");
    office.add(&target(receiver.hook())).await;
    let mut desk = Desk::new(office.parts.clone());
    office.happen(&mut desk, "unreadable").await;
    office.happen(&mut desk, "readable").await;
    let database = office.folder.path().join("onepool.db");
    execute(&database, r#"UPDATE notice_events SET event = '{"from":"another version"}' WHERE id = 1"#).await;
    desk.round().await.unwrap();
    let bodies = receiver.bodies();
    let [body] = &bodies[..] else { panic!("{bodies:?}") };
    assert_eq!((&body["left_out"], body["events"].as_array().unwrap().len()), (&1.into(), 1));
    assert!(body["text"].as_str().unwrap().contains("readable"), "{body}");
}

#[tokio::test]
async fn what_cannot_be_looked_up_holds_up_no_other_news_and_neither_begins_nor_ends() {
    let office = Office::open(clock()).await;
    let mut desk = Desk::new(office.parts.clone());
    let new = NewChannel {
        name: "Groq".into(),
        base_url: "http://127.0.0.1:9".into(),
        enabled: true,
        budget: Some(Quota::new(QuotaUnit::Requests, 10, QuotaReset::Never)),
        ..NewChannel::default()
    };
    office.parts.db.create_channel(&new).await.unwrap();
    office.parts.catalog.reload().await.unwrap();
    let database = office.folder.path().join("onepool.db");
    execute(&database, "INSERT INTO budget_spending VALUES ('channel', 1, 0, 'requests', 10)").await;
    let mut kinds = async || {
        office.parts.clock.advance(MINUTE * 2);
        desk.look().await.unwrap().events.iter().map(Event::kind).collect::<Vec<_>>()
    };
    let budget = kinds().await;
    assert!(budget.contains(&EventKind::BudgetReached), "{budget:?}");
    execute(&database, "ALTER TABLE budget_spending RENAME TO out_of_reach").await;
    office.parts.db.note_backup_failure(Some("no space")).await.unwrap();
    assert_eq!(kinds().await, [EventKind::BackupFailed]);
    execute(&database, "ALTER TABLE out_of_reach RENAME TO budget_spending").await;
    assert_eq!(kinds().await, [], "it was told, and has held all the time");
}
