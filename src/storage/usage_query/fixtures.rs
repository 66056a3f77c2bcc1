//! A small world for tests of the log and the usage page: names for what the calls of
//! [`record`](crate::storage::recording::tests::record) use, and an operator who looks at them.

use crate::{
    model::{secret::SecretHash, time::UnixMs},
    storage::{Db, on},
};

/// The session cookie's value of [`operator`].
pub(crate) const SESSION: &str = "a session for tests";

/// Token 1 `laptop`, deleted token 2 `old phone`, channel 1 `Groq <free>` with key 2 (`…aaaa`, label `first`) and the
/// deleted key 3 (`…bbbb`).
pub(crate) async fn names(db: &Db) {
    const SQL: &str = "
        INSERT INTO tokens (id, name, models, channel_groups, cidrs, profile, note, enabled, created_at, updated_at,
            deleted_at)
        VALUES (1, 'laptop', '[]', '[]', '[]', 'generic', '', TRUE, 0, 0, NULL),
               (2, 'old phone', '[]', '[]', '[]', 'generic', '', TRUE, 0, 0, 5);
        INSERT INTO channels (id, name, base_url, protocol, priority, weight, channel_groups, headers_sealed,
            allow_private, note, enabled, created_at, updated_at)
        VALUES (1, 'Groq <free>', 'https://api.example.com', 'openai', 0, 1, '[]', x'00', FALSE, '', TRUE, 0, 0);
        INSERT INTO keys (id, channel_id, label, last4, secret_sealed, secret_hash, enabled, created_at, deleted_at)
        VALUES (2, 1, 'first', 'aaaa', x'00', x'02', TRUE, 0, NULL), (3, 1, '', 'bbbb', x'00', x'03', TRUE, 0, 5)";
    on!(db.write, |pool| sqlx::raw_sql(SQL).execute(pool)).unwrap();
}

/// An account with a session that is in use at `now`.
pub(crate) async fn operator(db: &Db, now: UnixMs) {
    on!(db.write, |pool| {
        sqlx::query("INSERT INTO users (id, name, password_hash, created_at) VALUES (1, 'admin', '', 0)")
            .execute(pool)
    })
    .unwrap();
    on!(db.write, |pool| {
        sqlx::query(
            "INSERT INTO sessions (secret_hash, user_id, created_at, seen_at, expires_at, address, user_agent)
             VALUES ($1, 1, $2, $2, $3, '', '')",
        )
        .bind(&SecretHash::of(SESSION).0[..])
        .bind(now.0)
        .bind(i64::MAX)
        .execute(pool)
    })
    .unwrap();
}

/// Deletes the rows of calls before a time, as the retention does.
pub(crate) async fn forget_before(db: &Db, time: UnixMs) {
    on!(db.write, |pool| sqlx::query("DELETE FROM calls WHERE at < $1").bind(time.0).execute(pool)).unwrap();
}
