//! Settings that an operator may change while the server runs. `config` says how each is named, limited and documented.

/// The run-time settings in force; part of every [`Catalog`](super::catalog::Catalog).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// The address that clients and browsers use, such as `https://pool.example.com`, without a trailing slash.
    pub public_url: Option<String>,
    /// Days for which usage rows are kept.
    pub retention_days: u32,
    /// Hours between two backups; 0 makes none.
    pub backup_every_hours: u32,
    /// How many of these backups are kept.
    pub backup_keep: u32,
    /// Hours between two looks at what an upstream lists; 0: only on demand.
    pub discovery_every_hours: u32,
    /// Hours before the same model is probed again by itself; 0: only on demand.
    pub probe_every_hours: u32,
    /// The most that probes take of a daily quota, in percent.
    pub probe_quota_percent: u32,
    /// From which used share of a limit or a budget on operators are told, in percent.
    pub notify_quota_percent: u32,
    /// For how many minutes a channel must take no calls before operators are told.
    pub notify_down_minutes: u32,
    /// The most upstream calls that one client call may make.
    pub max_attempts: u32,
    /// The most calls that wait in line for one set of candidates.
    pub queue_limit: u32,
    /// Seconds that a call may wait in line.
    pub queue_wait_s: u32,
    /// The same for a stream.
    pub queue_wait_stream_s: u32,
    /// Seconds in which a call must have found its first content, over all attempts and without the time in line.
    pub first_content_deadline_s: u32,
    /// Milliseconds until an upstream connection must stand, for channels that set no limit of their own.
    pub connect_timeout_ms: u32,
    /// Milliseconds until an upstream's first content, likewise.
    pub first_byte_timeout_ms: u32,
    /// Milliseconds between two pieces of an upstream's answer, likewise.
    pub idle_timeout_ms: u32,
    /// Milliseconds after which a waiting stream gets its first keep-alive.
    pub keepalive_after_ms: u32,
    /// Milliseconds between keep-alives.
    pub keepalive_every_ms: u32,
    /// Whether answers carry `x-onepool-*` and `server-timing`.
    pub diagnostic_headers: bool,
}

#[cfg(test)]
impl RuntimeSettings {
    /// Settings for tests that need some.
    pub(crate) fn sample() -> Self {
        Self {
            public_url: None,
            retention_days: 30,
            backup_every_hours: 0,
            backup_keep: 7,
            discovery_every_hours: 6,
            probe_every_hours: 24,
            probe_quota_percent: 5,
            notify_quota_percent: 90,
            notify_down_minutes: 5,
            max_attempts: 6,
            queue_limit: 512,
            queue_wait_s: 60,
            queue_wait_stream_s: 120,
            first_content_deadline_s: 120,
            connect_timeout_ms: 15_000,
            first_byte_timeout_ms: 120_000,
            idle_timeout_ms: 300_000,
            keepalive_after_ms: 10_000,
            keepalive_every_ms: 15_000,
            diagnostic_headers: true,
        }
    }
}
