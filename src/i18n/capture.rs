//! Captures of a token's requests and answers.

use super::texts;

texts! {
    /// Captures, on pages and on the command line.
    Capture {
        title: "Capture" / "抓取";
        intro: "For a limited time, keeps what this token's calls ask and are answered, to be read on the pages of its calls. Credentials are masked and contents of files left out; the rest is sealed on disk, is in no backup, and erases itself 6 hours after the end. Tell those who use the token." / "在限定时间内保存此令牌的请求和回答，可在各次调用的详情页查看。凭据会被遮盖，文件内容会被省略；其余内容加密存放在磁盘上，不进入任何备份，并在结束 6 小时后自动清除。请告知该令牌的使用者。";
        bounds(calls: usize, megabytes: u64): "At most {calls} calls and {megabytes} MB are kept; one token at a time." / "最多保存 {calls} 次调用、{megabytes} MB，同一时间只能抓取一个令牌。";
        off: "Nothing is captured." / "当前未抓取。";
        length: "Capture for" / "抓取时长";
        minutes_15: "15 minutes" / "15 分钟";
        hour_1: "1 hour" / "1 小时";
        hours_6: "6 hours" / "6 小时";
        hours_24: "24 hours" / "24 小时";
        start: "Start capturing" / "开始抓取";
        stop: "Stop" / "停止";
        erase: "Stop and erase" / "停止并清除";
        erase_sure: "What was captured of this token's calls is erased for good. The usage log keeps the calls." / "此令牌已抓取的内容将被永久清除，用量日志中的调用记录仍会保留。";
        erase_yes: "Yes, erase" / "确认清除";
        erase_kept: "Erase" / "清除";
        runs(until: &str, by: &str): "Captured until {until}; switched on by {by}." / "抓取至 {until}，由 {by} 开启。";
        ended(at: &str, by: &str, until: &str): "Ended {at}; switched on by {by}. What was captured erases itself {until}." / "已于 {at} 结束，由 {by} 开启。抓取的内容将在 {until} 自动清除。";
        kept(calls: usize, size: &str): "Calls kept: {calls} ({size})." / "已保存 {calls} 次调用（{size}）。";
        full: "The bound is reached: further calls are not kept." / "已达上限，后续调用不再保存。";
        to_calls: "Its calls" / "查看调用";
        started: "The token's calls are captured from now on." / "已开始抓取该令牌的调用。";
        stopped: "Nothing is captured any more. What there is stays for 6 hours." / "已停止抓取，现有内容保留 6 小时。";
        erased: "Everything that was captured is erased." / "抓取的内容已全部清除。";
        other_runs: "Another token's calls are being captured. Stop that capture first." / "正在抓取另一个令牌的调用，请先停止。";
        notice(token: &str, until: &str): "Requests and answers of the token “{token}” are being captured until {until}." / "正在抓取令牌“{token}”的请求和回答，至 {until} 结束。";
        notice_link: "Look or stop" / "查看或停止";
        call_title: "What was said" / "对话内容";
        call_text: "Captured for a limited time. Credentials are masked, contents of files left out." / "限时抓取。凭据已遮盖，文件内容已省略。";
        request: "Request" / "请求";
        answer: "Answer" / "回答";
        said: "What the answer says" / "回答的文本";
        events: "Events" / "事件";
        cut: "A text was too long and is cut." / "内容过长，已截断。";
        not_whole: "The answer did not go out to its end." / "回答未完整发送。";
        pieces_left_out: "The events are left out: only together they showed a credential." / "事件已省略：它们合在一起会显示出凭据。";
        bad_length: "Write a time from 15m to 24h, such as 1h." / "请填写 15m 到 24h 之间的时长，例如 1h。";
        one_of: "Give only one of --for, --stop and --erase." / "--for、--stop 和 --erase 只能使用其一。";
        help: "Capture a token's requests and answers for a limited time" / "在限定时间内抓取令牌的请求和回答";
        help_for: "How long, from 15m to 24h" / "时长，15m 到 24h";
        help_stop: "Stop; what was captured is kept for 6 hours" / "停止；已抓取的内容保留 6 小时";
        help_erase: "Stop and erase what was captured" / "停止并清除已抓取的内容";
        command_line: "the command line" / "命令行";
    }
}
