//! Every metric, with what it says.

use std::fmt::Write as _;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process on.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by bounds, with their sum.
    Histogram,
}

impl Kind {
    /// Its name in the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The labels of its samples.
    pub labels: &'static [&'static str],
    /// What it says, in English and Chinese.
    pub help: (&'static str, &'static str),
}

macro_rules! families {
    ($($kind:ident $name:literal [$($label:literal),*] $en:literal / $zh:literal;)*) => {
        /// Every metric, in the order of the page.
        pub static TABLE: &[Family] = &[$(Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: ($en, $zh),
        }),*];
    };
}

families! {
    Gauge "onepool_build_info" ["version"] "Always 1; the label is the version that runs." / "恒为 1，标签为正在运行的版本。";
    Counter "onepool_requests_total" ["endpoint", "result"] "Calls of clients that have ended, by endpoint and result." / "已结束的客户端调用数，按接口和结果统计。";
    Counter "onepool_channel_requests_total" ["channel", "result"] "The same by the channel that served the call or was tried last." / "同上，按完成调用或最后尝试的渠道统计。";
    Counter "onepool_attempts_total" ["channel", "class"] "Upstream calls, by what the answer was taken for." / "上游调用次数，按回答的判定结果统计。";
    Counter "onepool_tokens_total" ["channel", "kind"] "Tokens of prompts and completions; cached ones are part of prompt, reasoning is part of completion." / "输入和输出的 token 数；cached 已计入 prompt，reasoning 已计入 completion。";
    Counter "onepool_cost_dollars_total" ["channel"] "Cost of calls in US dollars, as far as it is known." / "调用费用（美元），仅含已知部分。";
    Histogram "onepool_first_token_seconds" ["le"] "Time from a call's arrival to its first content." / "从调用到达到首个内容的时间。";
    Histogram "onepool_request_seconds" ["le"] "Time from a call's arrival to its end." / "从调用到达到结束的时间。";
    Histogram "onepool_queue_seconds" ["le"] "Time that a call waited in line." / "调用的排队时间。";
    Histogram "onepool_relay_overhead_seconds" ["le"] "What is left of a call's time without the line and the upstreams, to the millisecond; only of calls that reached an upstream." / "调用总时间减去排队和上游耗时后的剩余部分（精确到毫秒），仅含到达过上游的调用。";
    Gauge "onepool_calls_in_flight" [] "Upstream calls under way." / "正在进行的上游调用数。";
    Gauge "onepool_calls_waiting" [] "Calls that wait in line." / "正在排队的调用数。";
    Gauge "onepool_keys" ["channel", "state"] "Upstream keys by state: available, resting, paused, invalid, off." / "各状态的上游密钥数：available（可用）、resting（冷却）、paused（暂停）、invalid（无效）、off（停用）。";
    Gauge "onepool_channel_calls_left" ["channel", "window"] "Calls of usual size (1000 prompt and 500 completion tokens) that a channel can serve in the next minute or 24 hours; only where limits are known." / "渠道在未来一分钟或 24 小时内还能处理的常规调用数（1000 输入、500 输出 token），仅限已知限额的渠道。";
    Gauge "onepool_database_bytes" [] "Size of the database with its write-ahead log." / "数据库及其预写日志的大小。";
    Gauge "onepool_journal_bytes" [] "Size of the journal that usage rows go through." / "用量记录日志文件的大小。";
    Gauge "onepool_unwritten_rows" [] "Usage rows that are only in memory." / "仅存在于内存中的用量记录数。";
    Gauge "onepool_recording_alarm" ["part"] "1 while usage cannot be recorded: the journal cannot be written, or the database takes no rows." / "无法记录用量时为 1：journal 表示日志文件无法写入，database 表示数据库无法写入。";
    Gauge "onepool_catalog_version" [] "Counts changes of channels, keys, tokens, chains and settings." / "渠道、密钥、令牌、回退链和设置的变更计数。";
    Gauge "onepool_notification_targets" ["state"] "Places that notifications go to; failing: the last delivery did not arrive." / "通知目标数；failing 表示最近一次发送失败。";
    Gauge "onepool_captures_running" [] "Tokens whose requests and answers are being captured." / "正在抓取请求和回答内容的令牌数。";
    Gauge "process_resident_memory_bytes" [] "Memory of the process." / "进程占用的内存。";
    Counter "process_cpu_seconds_total" [] "CPU time of the process, all cores together." / "进程占用的 CPU 时间（全部核心合计）。";
    Gauge "process_open_fds" [] "Open files and connections." / "打开的文件和连接数。";
    Gauge "process_start_time_seconds" [] "When the process started, in seconds since 1970." / "进程启动时间（1970 年以来的秒数）。";
}

/// The metric of a name.
pub(super) fn family(name: &str) -> Option<&'static Family> {
    TABLE.iter().find(|family| family.name == name)
}

/// The table of `docs/metrics.md`, or with `chinese` that of `docs/metrics.zh-CN.md`.
pub fn reference(chinese: bool) -> String {
    let header = if chinese {
        "| 指标 | 类型 | 标签 | 含义 |"
    } else {
        "| metric | type | labels | what it says |"
    };
    let mut text = format!("{header}\n|---|---|---|---|\n");
    for family in TABLE {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let help = if chinese { family.help.1 } else { family.help.0 };
        let (name, kind) = (family.name, family.kind.as_str());
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    text
}
