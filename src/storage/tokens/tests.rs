//! Tokens and their values in a real database.

use super::*;
use crate::{model::time::Clock, storage::vault::Vault};

const HOUR: Duration = Duration::from_secs(3600);

async fn database() -> (Db, Clock, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(UnixMs(1_800_000_000_000));
    let vault = Vault::new(&Secret::new("a master key for the tests"));
    let db = Db::open(&folder.path().join("test.db"), vault, clock.clone()).await.unwrap();
    (db, clock, folder)
}

async fn valid(db: &Db, value: &Secret) -> bool {
    let hash = SecretHash::of(value.expose());
    db.token_credentials().await.unwrap().iter().any(|(known, ..)| *known == hash)
}

#[test]
fn a_generated_value_is_sk_and_48_letters_and_digits_and_never_the_same() {
    let (one, two) = (new_value(), new_value());
    let random = one.expose().strip_prefix("sk-").unwrap();
    assert_eq!(random.len(), 48);
    assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(one, two);
    assert_eq!(check_value(one.expose()), Ok(()));
}

#[test]
fn a_value_from_elsewhere_is_32_to_128_visible_characters() {
    assert_eq!(check_value(&"x".repeat(31)), Err(ValueProblem::Length));
    assert_eq!(check_value(&"x".repeat(32)), Ok(()));
    assert_eq!(check_value(&"x".repeat(128)), Ok(()));
    assert_eq!(check_value(&"x".repeat(129)), Err(ValueProblem::Length));
    assert_eq!(check_value(&format!("{} {}", "x".repeat(20), "y".repeat(20))), Err(ValueProblem::Characters));
    assert_eq!(check_value(&"é".repeat(40)), Err(ValueProblem::Characters));
}

#[tokio::test]
async fn every_field_of_a_token_reads_back_as_it_was_saved() {
    let (db, clock, _folder) = database().await;
    let value = new_value();
    let id = db
        .create_token(&NewToken {
            models: vec!["gpt-*".into(), "qwen".into()],
            groups: vec!["free".into()],
            cidrs: vec!["10.0.0.0/8".parse().unwrap()],
            expires_at: Some(UnixMs(1_900_000_000_000)),
            quota: Some(Quota::new(QuotaUnit::Dollars, 5_000_000, QuotaReset::Month)),
            requests_per_minute: Some(60),
            profile: ClientProfile::OpenClaw,
            note: "für Lin 的令牌".into(),
            enabled: false,
            ..NewToken::unlimited("Laptop", value.clone())
        })
        .await
        .unwrap();
    let mut token = db.find_token(id).await.unwrap().unwrap();
    assert_eq!(token.last4, value.last4());
    assert_eq!(token.models, ["gpt-*", "qwen"]);
    assert_eq!(token.cidrs, ["10.0.0.0/8".parse::<IpNet>().unwrap()]);
    assert_eq!(token.quota.unwrap().limit, 5_000_000);
    assert_eq!(token.profile, ClientProfile::OpenClaw);
    assert_eq!((token.requests_per_minute, token.enabled), (Some(60), false));
    assert_eq!(token.created_at, clock.now());

    token.name = "Desktop".into();
    token.quota = None;
    token.enabled = true;
    db.update_token(&token).await.unwrap();
    let again = db.find_token(id).await.unwrap().unwrap();
    assert_eq!((again.name.as_str(), again.quota, again.enabled), ("Desktop", None, true));
    assert_eq!(again.note, "für Lin 的令牌");
    assert_eq!(db.reveal_token(id).await.unwrap(), value);
}

#[tokio::test]
async fn a_taken_name_and_a_taken_value_are_told_apart() {
    let (db, _clock, _folder) = database().await;
    let value = new_value();
    db.create_token(&NewToken::unlimited("Laptop", value.clone())).await.unwrap();
    let same_name = db.create_token(&NewToken::unlimited("LAPTOP", new_value())).await;
    assert!(matches!(same_name, Err(StorageError::Taken("name"))), "{same_name:?}");
    let same_value = db.create_token(&NewToken::unlimited("Desktop", value)).await;
    assert!(matches!(same_value, Err(StorageError::Taken("value"))), "{same_value:?}");
    assert_eq!(db.tokens().await.unwrap().len(), 1, "a refused token leaves nothing behind");
}

#[tokio::test]
async fn a_replaced_value_works_until_its_grace_time_ends() {
    let (db, clock, _folder) = database().await;
    let (old, new) = (new_value(), new_value());
    let id = db.create_token(&NewToken::unlimited("t", old.clone())).await.unwrap();
    db.rotate_token(id, &new, HOUR).await.unwrap();
    assert!(valid(&db, &old).await && valid(&db, &new).await);
    assert_eq!(db.reveal_token(id).await.unwrap(), new);
    let previous = db.previous_values(id).await.unwrap();
    assert_eq!((previous.len(), previous[0].valid_until), (1, clock.now() + HOUR));
    assert_eq!(previous[0].last4, old.last4());
    clock.advance(HOUR);
    assert!(!valid(&db, &old).await && valid(&db, &new).await);
    assert!(db.previous_values(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_grace_or_after_revocation_a_replaced_value_is_gone_at_once() {
    let (db, _clock, _folder) = database().await;
    let values = [new_value(), new_value(), new_value()];
    let id = db.create_token(&NewToken::unlimited("t", values[0].clone())).await.unwrap();
    db.rotate_token(id, &values[1], Duration::ZERO).await.unwrap();
    assert!(!valid(&db, &values[0]).await);
    db.rotate_token(id, &values[2], HOUR).await.unwrap();
    assert_eq!(db.revoke_previous_values(id).await.unwrap(), 1);
    assert!(!valid(&db, &values[1]).await && valid(&db, &values[2]).await);
}

#[tokio::test]
async fn a_deleted_token_is_gone_with_its_values_and_frees_its_name() {
    let (db, _clock, _folder) = database().await;
    let value = new_value();
    let id = db.create_token(&NewToken::unlimited("t", value.clone())).await.unwrap();
    db.delete_token(id).await.unwrap();
    assert!(!valid(&db, &value).await);
    assert!(db.find_token(id).await.unwrap().is_none());
    assert!(matches!(db.reveal_token(id).await, Err(StorageError::Missing)));
    assert!(matches!(db.delete_token(id).await, Err(StorageError::Missing)));
    assert!(matches!(db.set_token_enabled(id, true).await, Err(StorageError::Missing)));
    assert!(matches!(db.rotate_token(id, &new_value(), HOUR).await, Err(StorageError::Missing)));
    db.create_token(&NewToken::unlimited("t", value)).await.unwrap();
}

#[tokio::test]
async fn the_index_shows_what_was_spent_in_the_present_period_only() {
    let (db, clock, _folder) = database().await;
    let quota = Quota::new(QuotaUnit::Tokens, 1000, QuotaReset::Day);
    let token = NewToken { quota: Some(quota), ..NewToken::unlimited("t", new_value()) };
    let id = db.create_token(&token).await.unwrap();
    let zone = jiff::tz::TimeZone::UTC;
    let today = QuotaReset::Day.period_start(clock.now(), &zone).0;
    let mut tx = db.begin().await.unwrap();
    for (start, unit, spent) in
        [(today, "tokens", 250_i64), (today, "requests", 9), (today - 86_400_000, "tokens", 7)]
    {
        sqlx::query("INSERT INTO token_spending VALUES ($1, $2, $3, $4)")
            .bind(id.0)
            .bind(start)
            .bind(unit)
            .bind(spent)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let rows = db.token_rows(clock.now(), &zone).await.unwrap();
    assert_eq!((rows.len(), rows[0].spent, rows[0].last_used_at), (1, 250, None));
    let row = db.find_token_row(id, clock.now(), &zone).await.unwrap().unwrap();
    assert_eq!((row.spent, row.last_used_at), (250, None));
    assert_eq!(db.token_call_count(id, UnixMs(0)).await.unwrap(), 0);
}
