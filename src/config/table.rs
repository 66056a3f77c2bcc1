//! The table of settings: a row each.

use super::{Kind, Setting};

macro_rules! setting {
    ($name:literal, $label:literal / $label_zh:literal, $kind:expr, $default:literal, $unit:literal, $when:ident, $en:literal, $zh:literal) => {
        Setting {
            name: $name,
            label: ($label, $label_zh),
            kind: $kind,
            default: $default,
            unit: $unit,
            at_run_time: setting!(@$when),
            doc: ($en, $zh),
        }
    };
    (@start) => { false };
    (@run) => { true };
}

const fn integer(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

/// Every setting.
pub static TABLE: &[Setting] = &[
    setting!(
        "DATA_DIR",
        "Data folder" / "数据目录",
        Kind::Path,
        "./data",
        "",
        start,
        "Folder of the database, the master key and the journal. Made with mode 0700 if it is missing.",
        "存放数据库、主密钥和日志文件的目录。不存在时以 0700 权限创建。"
    ),
    setting!(
        "LISTEN",
        "Listen address" / "监听地址",
        Kind::Address,
        "127.0.0.1:3000",
        "",
        start,
        "Address and port to listen on. In a container: 0.0.0.0:3000.",
        "监听的地址和端口。在容器中使用 0.0.0.0:3000。"
    ),
    setting!(
        "PORT",
        "Port" / "端口",
        integer(0, 65535),
        "",
        "",
        start,
        "Port to listen on, in place of the one in LISTEN. 0 takes a free one.",
        "监听端口，替代 LISTEN 中的端口。0 表示任选空闲端口。"
    ),
    setting!(
        "PUBLIC_URL",
        "Public address" / "公开地址",
        Kind::Url,
        "",
        "",
        run,
        "Address under which clients and browsers reach the server. Used in snippets and links.",
        "客户端和浏览器访问本服务的地址，用于配置片段和链接。"
    ),
    setting!(
        "SECRET_KEY",
        "Master key" / "主密钥",
        Kind::Secret,
        "",
        "",
        start,
        "Master key that seals upstream keys and tokens: at least 32 random characters. Without one, a key is generated \
         into the data folder's `secret.key`.",
        "用于加密上游密钥和令牌的主密钥：至少 32 个随机字符。未提供时自动生成到数据目录的 `secret.key`。"
    ),
    setting!(
        "ADMIN_PASSWORD",
        "First password" / "初始密码",
        Kind::Secret,
        "",
        "",
        start,
        "Creates the account `admin` with this password at the first start, in place of the set-up link.",
        "首次启动时以此密码创建账户 `admin`，代替初始化链接。"
    ),
    setting!(
        "POOL_FILE",
        "Pool file" / "号池声明文件",
        Kind::Path,
        "",
        "",
        start,
        "TOML or JSON file with channels, keys, chains and tokens, applied at each start. What it does not declare stays.",
        "包含渠道、密钥、回退链和令牌的 TOML 或 JSON 文件，每次启动时应用。其中未声明的内容保持不变。"
    ),
    setting!(
        "TRUSTED_PROXIES",
        "Trusted proxies" / "受信任的代理",
        Kind::Networks,
        "",
        "",
        start,
        "Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Nobody's by default.",
        "信任其 X-Forwarded-For 和 X-Forwarded-Proto 的反向代理。默认不信任任何来源。"
    ),
    setting!(
        "TZ",
        "Time zone" / "时区",
        Kind::Zone,
        "system",
        "",
        start,
        "Time zone of quota resets and of the times on pages.",
        "额度重置和页面时间所用的时区。"
    ),
    setting!(
        "RUST_LOG",
        "Log level" / "日志级别",
        Kind::Text,
        "info",
        "",
        start,
        "What to log: a level, or a list such as info,onepool::relay=debug.",
        "日志级别，或列表，例如 info,onepool::relay=debug。"
    ),
    setting!(
        "LOG_FORMAT",
        "Log format" / "日志格式",
        Kind::Choice(&["text", "json"]),
        "text",
        "",
        start,
        "How to write the log.",
        "日志格式。"
    ),
    setting!(
        "DRAIN_SECONDS",
        "Time to finish when stopping" / "停止时的收尾时间",
        integer(0, 3600),
        "25",
        "s",
        start,
        "How long running answers may go on after SIGTERM.",
        "收到 SIGTERM 后，正在进行的回答还可继续的时间。"
    ),
    setting!(
        "MAX_CONNECTIONS",
        "Connections at a time" / "最大并发连接数",
        integer(1, 1_000_000),
        "8192",
        "",
        start,
        "The most client connections at a time; further ones wait to be accepted.",
        "同时允许的最大客户端连接数；超出的连接排队等待。"
    ),
    setting!(
        "HEADER_TIMEOUT_SECONDS",
        "Limit for headers" / "请求头时限",
        integer(1, 600),
        "15",
        "s",
        start,
        "How long a client may take to send a request's headers; also how long an unused connection is kept.",
        "客户端发送请求头的时限；也是空闲连接保留的时间。"
    ),
    setting!(
        "BODY_TIMEOUT_SECONDS",
        "Limit for pauses of a client" / "客户端停顿时限",
        integer(1, 3600),
        "30",
        "s",
        start,
        "The longest pause in a request's body (less than 1 KB in this time is one), or in a client's reading of its \
         answer.",
        "请求体传输（此时间内不足 1 KB 即视为停顿）或客户端读取回答时允许的最长停顿。"
    ),
    setting!(
        "MAX_BODY_MB",
        "Largest request" / "请求大小上限",
        integer(1, 1024),
        "64",
        "MB",
        start,
        "The largest request body.",
        "请求体的最大大小。"
    ),
    setting!(
        "METRICS_TOKEN",
        "Secret for metrics" / "监控指标密钥",
        Kind::Secret,
        "",
        "",
        start,
        "Secret with which Prometheus reads `/metrics`: at least 16 random characters. Without one there is no such page.",
        "Prometheus 读取 `/metrics` 时使用的密钥：至少 16 个随机字符。未设置时不提供该页面。"
    ),
    setting!(
        "RETENTION_DAYS",
        "Keep the usage log for" / "用量日志保留时间",
        integer(1, 3650),
        "30",
        "d",
        run,
        "How long the rows of the usage log are kept. Sums are kept for good.",
        "用量日志明细的保留天数。汇总数据永久保留。"
    ),
    setting!(
        "BACKUP_EVERY_HOURS",
        "Backup every" / "自动备份间隔",
        integer(0, 8760),
        "0",
        "h",
        run,
        "How often the server makes a backup by itself, in the data folder's `backups`. 0: never.",
        "服务自动备份的间隔，备份存放在数据目录的 `backups` 中。0 表示不自动备份。"
    ),
    setting!(
        "BACKUP_KEEP",
        "Backups to keep" / "保留的自动备份数",
        integer(1, 1000),
        "7",
        "",
        run,
        "How many of the backups that the server makes by itself are kept. Others are never deleted.",
        "服务自动备份保留的份数。其他备份不会被删除。"
    ),
    setting!(
        "DISCOVERY_EVERY_HOURS",
        "Ask for models every" / "模型列表刷新间隔",
        integer(0, 8760),
        "6",
        "h",
        run,
        "How often each upstream is asked which models it has, give or take a tenth. 0: only on demand.",
        "查询各上游模型列表的间隔，实际时间前后浮动一成。0 表示只在手动刷新时查询。"
    ),
    setting!(
        "PROBE_EVERY_HOURS",
        "Probe a model at most every" / "探测模型的最短间隔",
        integer(0, 8760),
        "24",
        "h",
        run,
        "How long the server waits before it probes the same model again by itself, to find out what it can do. 0: only on \
         demand.",
        "服务自动探测同一模型能力的最短间隔。0 表示只在手动触发时探测。"
    ),
    setting!(
        "PROBE_QUOTA_PERCENT",
        "Share of daily quotas for probes" / "探测可用的每日额度比例",
        integer(0, 100),
        "5",
        "%",
        run,
        "The most that probes take of any daily quota of calls. 0: none of a quota that is known.",
        "探测最多可占用的每日调用额度比例。0 表示不占用任何已知的每日额度。"
    ),
    setting!(
        "NOTIFY_QUOTA_PERCENT",
        "Warn when this much is used" / "用量达到此比例时提醒",
        integer(1, 100),
        "90",
        "%",
        run,
        "From which used share of a limit or of the pool's day on notifications warn. Budgets have warning levels of their own. See *Notifications*.",
        "限额或号池今日可用量的使用比例达到此值时发送通知。预算有各自的预警点。见“通知”。"
    ),
    setting!(
        "NOTIFY_DOWN_MINUTES",
        "Minutes until a channel counts as down" / "渠道中断多久后提醒",
        integer(0, 1440),
        "5",
        "min",
        run,
        "For how long a channel must take no calls before notifications say so. 0: at once.",
        "渠道持续无法接受调用达到此时长后发送通知。0 表示立即通知。"
    ),
    setting!(
        "MAX_ATTEMPTS",
        "Attempts per call" / "每次调用的尝试次数",
        integer(1, 100),
        "6",
        "",
        run,
        "The most upstream calls that one client call may cause.",
        "一次客户端调用最多触发的上游调用次数。"
    ),
    setting!(
        "QUEUE_LIMIT",
        "Calls in line" / "排队调用数上限",
        integer(0, 100_000),
        "512",
        "",
        run,
        "The most calls that wait in line for the same keys and models; further ones are told when to come back.",
        "等待同一批密钥和模型的调用最多可排队的数量；超出的调用会被告知何时重试。"
    ),
    setting!(
        "QUEUE_WAIT_SECONDS",
        "Longest wait in line" / "最长排队时间",
        integer(0, 3600),
        "60",
        "s",
        run,
        "How long a call may wait for a key with room, over all attempts. One that would have to wait longer is told so \
         at once. 0: calls never wait.",
        "一次调用在全部尝试中等待可用密钥的最长时间。预计需要更久的调用会立即得到答复。0 表示从不等待。"
    ),
    setting!(
        "QUEUE_WAIT_STREAM_SECONDS",
        "Longest wait of a stream" / "流式调用的最长排队时间",
        integer(0, 3600),
        "120",
        "s",
        run,
        "The same for streams, which are kept alive while they wait.",
        "流式调用的最长排队时间；排队期间会发送保活信号。"
    ),
    setting!(
        "FIRST_CONTENT_DEADLINE_SECONDS",
        "Limit for all attempts" / "全部尝试的总时限",
        integer(1, 3600),
        "120",
        "s",
        run,
        "How long all attempts of a call may take until the first content; time in line does not count.",
        "一次调用的全部尝试在得到首个内容前可用的总时间，不含排队时间。"
    ),
    setting!(
        "CONNECT_TIMEOUT_MS",
        "Limit for connecting" / "连接时限",
        integer(1, 600_000),
        "15000",
        "ms",
        run,
        "How long an upstream connection may take, unless the channel says otherwise.",
        "连接上游的时限，渠道可单独设置。"
    ),
    setting!(
        "FIRST_BYTE_TIMEOUT_MS",
        "Limit for the first content" / "首个内容时限",
        integer(1, 3_600_000),
        "120000",
        "ms",
        run,
        "How long an upstream may take until its first content, unless the channel says otherwise.",
        "等待上游首个内容的时限，渠道可单独设置。"
    ),
    setting!(
        "IDLE_TIMEOUT_MS",
        "Limit for pauses of an upstream" / "上游停顿时限",
        integer(1, 3_600_000),
        "300000",
        "ms",
        run,
        "The longest pause in an upstream's answer, unless the channel says otherwise.",
        "上游回答中允许的最长停顿，渠道可单独设置。"
    ),
    setting!(
        "KEEPALIVE_AFTER_MS",
        "First keep-alive after" / "首个保活信号",
        integer(1, 600_000),
        "10000",
        "ms",
        run,
        "When a stream that waits for its first content gets its first keep-alive. Until then a failure keeps its status.",
        "流式调用等待首个内容多久后发送第一个保活信号。在此之前失败仍以原状态码返回。"
    ),
    setting!(
        "KEEPALIVE_EVERY_MS",
        "Keep-alive every" / "保活间隔",
        integer(1, 600_000),
        "15000",
        "ms",
        run,
        "The time between keep-alives.",
        "保活信号的间隔。"
    ),
    setting!(
        "DIAGNOSTIC_HEADERS",
        "Diagnostic headers" / "诊断响应头",
        Kind::Switch,
        "true",
        "",
        run,
        "Whether answers name the channel, the upstream model and the attempts (x-onepool-*), and how long each part \
         took (server-timing).",
        "回答是否带有渠道、上游模型、尝试次数（x-onepool-*）以及各阶段耗时（server-timing）的响应头。"
    ),
];
