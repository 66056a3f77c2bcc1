//! Limits: their words, and what may be wrong with them.

use super::texts;

texts! {
    /// Limits on pages, and messages at their fields everywhere.
    Limits {
        title: "Limits" / "限额";
        edit: "Edit the limits" / "编辑限额";
        of_channel(name: &str): "Limits of {name}" / "{name} 的限额";
        of_key(key: &str): "Limits of the key {key}" / "密钥 {key} 的限额";
        own: "Declared here" / "在此声明";
        none: "No limits are declared here." / "此处尚未声明限额。";
        of_provider(provider: &str): "Known of {provider}" / "{provider} 的已知限额";
        provider_text: "What the provider’s data says; it holds where you declare nothing of the same kind." / "来自服务商数据；如果您没有声明同类限额，则按这里的执行。";
        provider_none: "The provider’s data names no limits. Declare those that you know; the others are learned from answers." / "服务商数据没有列出限额。请声明已知的限额，其余会从响应中学习。";
        key_text: "A limit of this key counts in place of one of the channel that is of the same kind: the same amount of what, window and per." / "密钥的限额会取代渠道的同类限额，即计量对象、窗口和适用对象都相同的限额。";
        hint: "A row without an amount is left out. Windows: 1m, 5h (any such span), hour, day, month (of the calendar), bucket:1s, one_shot; nothing for calls at the same time. Models are names in which * stands for anything, separated by commas; none means all." / "没有填写数量的行会被忽略。窗口可写：1m、5h（任意一段时间）、hour、day、month（日历周期）、bucket:1s、one_shot；并发数无需填写窗口。模型名称用逗号分隔，* 代表任意内容；留空表示全部。";
        zone_hint: "For hour, day and month; empty means the provider’s time zone, if it is known." / "用于 hour、day 和 month；留空则使用服务商的时区（如已知）。";
        insist_hint: "Tick “Insist” to keep an amount whatever the upstream’s answers tell." / "勾选“坚持”后，无论上游响应如何，都按此数量执行。";
        amount: "Amount" / "数量";
        what: "What" / "计量对象";
        window: "Window" / "窗口";
        zone: "Time zone" / "时区";
        per: "Per" / "适用对象";
        models: "Models" / "模型";
        all_models: "all" / "全部";
        insist: "Insist" / "坚持";
        source: "Source" / "来源";
        add_row: "Add a row" / "添加一行";
        remove_row: "Remove" / "移除";
        save: "Save the limits" / "保存限额";
        row_error(row: usize, message: &str): "Row {row}: {message}" / "第 {row} 行：{message}";
        row_name(row: usize): "row {row}" / "第 {row} 行";
        amount_invalid: "please enter a whole number from 1 to 1000000000000" / "请输入 1 到 1000000000000 之间的整数";

        requests: "requests" / "请求数";
        input_tokens: "input tokens" / "输入 Token";
        tokens: "tokens" / "Token";
        units: "the provider’s units" / "服务商的计量单位";
        concurrency: "calls at the same time" / "并发数";
        per_key: "key" / "每个密钥";
        per_group: "quota group" / "每个额度组";
        per_key_model: "model on a key" / "每个密钥的每个模型";
        per_group_model: "model in a quota group" / "每个额度组的每个模型";
        per_model: "model" / "每个模型";
        per_channel: "channel" / "整个渠道";
        unknown_amount: "exists, amount unknown" / "存在，数量未知";
        declared: "declared" / "已声明";
        insisted: "declared, insisted on" / "已声明，坚持执行";
        confidence_high: "provider’s documents" / "服务商文档";
        confidence_medium: "several reports" / "多方报告";
        confidence_low: "one report; shown only" / "单一来源；仅供参考";

        too_many(most: usize): "At most {most} limits." / "最多 {most} 条限额。";
        zero: "Nothing could be called with 0. Switch the key or the channel off instead, or leave the limit out." / "0 表示完全无法调用。请改为停用密钥或渠道，或去掉此限额。";
        window_missing: "Say in which window: such as 1m, 5h, day or month; or count concurrency." / "请指定窗口，例如 1m、5h、day 或 month；或改为限制并发数（concurrency）。";
        window_unknown(text: &str): "“{text}” is no window. Write a span (30s, 1m, 5h, 1d), hour, day or month (perhaps with a zone: day@Asia/Shanghai), bucket:1s, one_shot, or at_once." / "“{text}”不是有效的窗口。可写时间段（30s、1m、5h、1d）、hour、day 或 month（可带时区：day@Asia/Shanghai）、bucket:1s、one_shot 或 at_once。";
        window_length: "A window is longer than nothing and at most 400 days." / "窗口长度须大于 0，且不超过 400 天。";
        one_window: "Give either calendar (hour, day or month) or bucket (a span such as 1s)." / "请填写 calendar（hour、day 或 month）或 bucket（时间段，例如 1s），二者选一。";
        span_unknown(text: &str): "“{text}” is no span of time: write a whole number and ms, s, m, h or d, such as 1s." / "“{text}”不是有效的时间段：请写整数加 ms、s、m、h 或 d，例如 1s。";
        burst(max: u64): "A bucket holds from 1 to its whole amount, {max}." / "桶的容量须为 1 到全部数量（{max}）之间。";
        burst_positive: "A bucket holds at least 1." / "桶的容量至少为 1。";
        burst_without_bucket: "Only a bucket has a burst; leave it out." / "只有 bucket 才能设置 burst，请去掉。";
        zone_without_calendar: "Only hour, day and month have a time zone and minutes; leave this out." / "只有 hour、day 和 month 才有时区和分钟偏移，请去掉。";
        zone_unknown(zone: &str): "“{zone}” is no time zone. Use an IANA name such as Asia/Shanghai or America/Los_Angeles; UTC is one." / "“{zone}”不是有效的时区。请使用 IANA 名称，例如 Asia/Shanghai 或 America/Los_Angeles，也可以用 UTC。";
        zone_missing(provider: &str): "It is not known when the days of {provider} begin: name the time zone, such as day@UTC or day@Asia/Shanghai." / "不清楚 {provider} 的每日额度何时重置：请写明时区，例如 day@UTC 或 day@Asia/Shanghai。";
        offset: "Minutes after the beginning: from 0 to 59 for an hour, to 1439 for a day and a month." / "重置时间的分钟偏移：hour 为 0 到 59，day 和 month 为 0 到 1439。";
        concurrency_window: "Calls at the same time have no window: leave it out, or count requests." / "并发数没有窗口：请去掉窗口，或改为限制请求数（requests）。";
        at_once_metric: "Only concurrency is counted at once; give a window such as 1m, or count concurrency." / "at_once 只用于并发数（concurrency）；请填写 1m 等窗口，或改为限制并发数。";
        wider_than_key: "A limit of one key is per key or per key_model; declare the others on the channel." / "单个密钥的限额只能按 key 或 key_model；其他请在渠道上声明。";
        contradiction(other: &str): "This says the same as {other} with another amount; leave one of them out." / "此项与 {other} 相同但数量不一致，请去掉其中一个。";
        twice(other: &str): "This is {other} once more; leave one of them out." / "此项与 {other} 重复，请去掉其中一个。";
        line(text: &str): "“{text}” cannot be read. Write AMOUNT [WHAT][/WINDOW] [per WHOM] [models=A,B] [insist], such as “40 requests/1m per key” or “4 at once per key”." / "无法识别“{text}”。格式为：数量 [计量对象][/窗口] [per 适用对象] [models=A,B] [insist]，例如“40 requests/1m per key”或“4 at once per key”。";
        line_amount(text: &str): "A limit begins with a whole number, not with “{text}”: such as “40 requests/1m per key”." / "限额须以整数开头，而不是“{text}”：例如“40 requests/1m per key”。";
        line_metric(text: &str): "“{text}” is not counted: use requests, input_tokens, tokens, units or concurrency." / "“{text}”不是计量对象：请使用 requests、input_tokens、tokens、units 或 concurrency。";
        line_per(text: &str): "Limits are not per “{text}”: use key, group, key_model, group_model, model or channel." / "“{text}”不是适用对象：请使用 key、group、key_model、group_model、model 或 channel。";
    }
}
