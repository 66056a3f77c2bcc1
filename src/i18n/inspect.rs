//! What the pool can do, what is left of limits, and where calls go.

use super::texts;

texts! {
    /// Gauges, the capacity page and the route inspector, on pages and in commands.
    Inspect {
        // Limits in words.
        requests: "requests" / "请求数";
        input_tokens: "input tokens" / "输入 token 数";
        tokens: "tokens" / "token 数";
        units: "units" / "单位数";
        calls_at_once: "calls at once" / "并发数";
        some_requests(count: &str): "{count} requests" / "{count} 次请求";
        some_input_tokens(count: &str): "{count} input tokens" / "{count} 个输入 token";
        some_tokens(count: &str): "{count} tokens" / "{count} 个 token";
        some_units(count: &str): "{count} units" / "{count} 个单位";
        some_calls_at_once(count: &str): "{count} calls at once" / "{count} 个并发调用";
        per_second: "per second" / "每秒";
        per_minute: "per minute" / "每分钟";
        per_hour: "per hour" / "每小时";
        per_day: "per day" / "每天";
        per_month: "per month" / "每月";
        per_span(span: &str): "per {span}" / "每 {span}";
        calendar_hour: "per hour of the clock" / "每个整点小时";
        calendar_day: "per calendar day" / "每个自然日";
        calendar_month: "per calendar month" / "每个自然月";
        once: "once" / "一次性";
        limit_name(window: &str, metric: &str): "{metric} {window}" / "{window}{metric}";
        limit_amount(window: &str, amount: &str): "{amount} {window}" / "{window} {amount}";
        source_learned: "learned" / "自动学习";
        source_declared: "declared" / "已声明";
        source_header: "from headers" / "来自响应头";
        source_error_body: "from an error" / "来自错误信息";
        source_operator: "set by operator" / "管理员设定";
        confidence(percent: u8): "{percent}% sure" / "可信度 {percent}%";
        confidence_hint: "How sure it is that this limit is right" / "该限额正确的可信程度";
        group_model(group: &str, model: &str): "{model} in quota group {group}" / "额度组 {group} 中的 {model}";

        // Gauges.
        limits_left: "Left of limits" / "剩余额度";
        limit: "Limit" / "限额";
        of_whom: "Holds for" / "适用对象";
        left: "Left" / "剩余";
        left_of(left: &str, max: &str): "{left} of {max}" / "{left} / {max}";
        used_of(used: &str, max: &str): "{used} of {max} used" / "已用 {used} / {max}";
        comes_back: "Comes back" / "恢复时间";
        known_from: "Known from" / "来源";
        flows_back: "flows in steadily" / "持续恢复";
        never_comes_back: "never" / "不恢复";
        with_answers: "when calls end" / "调用结束时";
        next_back(when: &str): "the next one {when}" / "最早一次 {when}";
        not_used: "nothing is used" / "尚未使用";
        no_limits: "No limit is known here: OnePool starts carefully and learns from what the upstream says." / "此处尚无已知限额：OnePool 会从低速开始，并根据上游的响应自动学习。";
        no_shared_limits: "No limit that keys share is known; each key has its own." / "没有已知的共用限额，各密钥各有自己的限额。";
        limits_of_key: "Every limit that calls with this key count for, also those that it shares." / "使用此密钥的调用所计入的所有限额，包括共用的限额。";
        limits_of_channel: "Limits that keys share. What is left for one key stands on its page; in the list of keys is the tightest." / "多个密钥共用的限额。单个密钥的剩余额度见其页面；密钥列表中显示最紧张的一项。";
        tightest: "Tightest limit" / "最紧张的限额";
        more_gauges(count: usize): "{count} more limits are not shown here; the admin API and the command line list all." / "另有 {count} 项限额未显示；可通过管理 API 或命令行查看全部。";
        in_time(time: &str): "in {time}" / "{time}后";
        now: "now" / "现在";
        under_a_minute: "less than a minute" / "不到 1 分钟";
        minutes(count: i64): "{count} min" / "{count} 分钟";
        hours(hours: i64): "{hours} h" / "{hours} 小时";
        hours_and_minutes(hours: i64, minutes: i64): "{hours} h {minutes} min" / "{hours} 小时 {minutes} 分";
        days(days: i64): "{days} d" / "{days} 天";
        days_and_hours(days: i64, hours: i64): "{days} d {hours} h" / "{days} 天 {hours} 小时";
        provider_time(time: &str, zone: &str): "{time} in {zone}" / "{zone} 时间 {time}";

        // The capacity page.
        capacity: "Capacity" / "容量";
        capacity_intro: "How many calls the pool can serve: in theory, if every key were healthy, and now. Models of one key share its limits, so their figures do not add up." / "号池能够处理的调用数：理论值假设所有密钥正常，当前值按实际状态计算。同一密钥的模型共用限额，因此各模型的数字不能相加。";
        capacity_size: "Size of a call" / "单次调用大小";
        capacity_size_hint: "Limits on tokens allow fewer large calls than small ones." / "对于按 token 计的限额，调用越大，可处理的次数越少。";
        prompt_tokens: "Prompt tokens" / "输入 token";
        completion_tokens: "Completion tokens" / "输出 token";
        show: "Show" / "查看";
        whole_pool: "The whole pool" / "整个号池";
        theory: "In theory" / "理论值";
        actual: "Now" / "当前";
        minute_theory: "Per minute, in theory" / "每分钟理论值";
        minute_now: "Next minute" / "下一分钟";
        day_theory: "Per day, in theory" / "每天理论值";
        day_now: "Next 24 h" / "未来 24 小时";
        minute_short: "Per minute" / "每分钟";
        day_short: "Per day" / "每天";
        minute_column: "Per minute: now / theory" / "每分钟：当前 / 理论";
        day_column: "Per day: now / theory" / "每天：当前 / 理论";
        model: "Model" / "模型";
        keys: "Keys" / "密钥";
        binding: "What holds it back" / "瓶颈";
        binding_times(limit: &str, count: usize): "{limit}, {count} of these" / "{limit}，共 {count} 项";
        kind_key: "per key" / "每个密钥";
        kind_group: "per quota group" / "每个额度组";
        kind_key_model: "per key and model" / "每个密钥的每个模型";
        kind_group_model: "per quota group and model" / "每个额度组的每个模型";
        kind_model: "per model" / "每个模型";
        kind_channel: "per channel" / "每个渠道";
        binding_of(limit: &str, kind: &str): "{limit} {kind}" / "{kind}{limit}";
        unknown: "unknown" / "未知";
        at_least(calls: &str): "{calls} and unknown" / "{calls} + 未知";
        unknown_keys(count: usize): "{count} keys with unknown limits" / "{count} 个密钥限额未知";
        unknown_hint: "Nothing is known of the limits of some keys: what they can do is unknown, and not in these figures." / "部分密钥的限额未知，其能力无法计算，未计入这些数字。";
        shared_keys(keys: usize, owners: usize): "{keys} keys of {owners} accounts" / "{keys} 个密钥，{owners} 个账户";
        shared_hint(count: usize): "{count} keys share a quota group with others: they add nothing to the limits of their account." / "{count} 个密钥与其他密钥同属一个额度组，不会增加其账户的限额。";
        resting_keys(count: usize): "{count} resting" / "{count} 个休息中";
        no_keys: "no key" / "无密钥";
        no_models: "No channel that is on offers a model." / "没有启用的渠道提供模型。";
        no_model_fits: "No model fits the filter." / "没有符合筛选条件的模型。";
        filter_models: "Part of a model's name" / "模型名称的一部分";
        to_channels: "To the channels" / "前往渠道";
        explain_model(model: &str): "Where do calls for {model} go?" / "{model} 的调用会去哪里？";
        bound_hint: "Limits that nobody knows of can only make these numbers smaller." / "未知的限额只会使这些数字更小。";
        size_wrong: "Please enter a whole number from 0 to 100000000." / "请输入 0 到 100000000 之间的整数。";

        // The route inspector.
        routes: "Where calls go" / "路由检查";
        routes_intro: "Which candidates a chat call would try now, in which order, and why not the others. Nothing is sent." / "当前一次对话调用会依次尝试哪些候选，以及为何不使用其他候选。不会发送任何请求。";
        ask: "Ask" / "查询";
        token: "Token" / "令牌";
        any_token: "No token: every channel" / "不限令牌：所有渠道";
        choose_model: "Choose a model." / "请选择一个模型。";
        place: "Order" / "顺序";
        candidate: "Channel · key" / "渠道 · 密钥";
        upstream_model: "Upstream model" / "上游模型";
        tier: "Priority" / "优先级";
        verdict: "Verdict" / "结论";
        would_try: "would be tried" / "会被尝试";
        is_ready: "ready" / "就绪";
        not_now: "not now" / "暂不使用";
        never: "not at all" / "不使用";
        back_at(when: &str): "back {when}" / "{when}恢复";
        others: "Not offered there" / "未提供该模型";
        others_count(count: usize): "{count} channels do not offer this model" / "{count} 个渠道不提供此模型";
        order_hint: "Higher priorities come first, and among their keys those in good standing whose quota is the least scarce. Among equals a channel is drawn by weight, and of it the key that was used longest ago; a priority that is busy is waited for up to two seconds." / "优先级高者先用；同级中状况良好、额度最充裕的密钥优先。条件相同的渠道按权重抽取，再取其中最久未使用的密钥；某一优先级繁忙时最多等待两秒。";
        nobody_ready: "No candidate is ready now; a call would wait in line, or be told when to come back." / "当前没有就绪的候选；调用会排队等待，或被告知何时重试。";
        saved_state: "This is what is saved: no server runs on this folder." / "以下为已保存的状态：此目录当前没有服务运行。";
        saved_by_server: "This is what the running server saved within the last second; who waits in line is not in it." / "以下为运行中的服务在一秒内保存的状态；不含正在排队的调用。";
        refused_unknown_model: "No channel that is on offers this model: the call gets a 404." / "没有启用的渠道提供此模型：调用会得到 404。";
        refused_token_off: "The token is switched off: the call gets a 401." / "该令牌已停用：调用会得到 401。";
        refused_token_ended: "The token has ended: the call gets a 401." / "该令牌已到期：调用会得到 401。";
        refused_model: "The model is not in the token's scope: the call gets a 403." / "该模型不在令牌的范围内：调用会得到 403。";
        refused_channel: "The token's groups allow none of the channels that offer the model: the call gets a 404." / "令牌的分组不允许使用提供该模型的任何渠道：调用会得到 404。";
        refused_price: "The token's quota is in dollars, and the model has no price: the call is refused." / "令牌额度以美元计，而该模型没有价格：调用会被拒绝。";
        why_rest(what: &str, reason: &str): "rests ({what}): {reason}" / "休息中（{what}）：{reason}";
        why_last_resort(why: &str): "{why}; tried if nothing else is left" / "{why}；别无选择时仍会尝试";
        why_paused(what: &str): "paused by operator ({what})" / "已由管理员暂停（{what}）";
        why_limit(what: &str, used: &str, limit: &str): "limit used up ({what}): {used} {limit}" / "限额已用完（{what}）：{limit} {used}";
        why_answers(what: &str): "answers to the calls under way are waited for ({what})" / "等待进行中的调用返回（{what}）";
        why_too_large(what: &str, limit: &str): "the call is too large ({what}): at most {limit}" / "调用过大（{what}）：上限为 {limit}";
        why_channel_off: "the channel is switched off" / "渠道已停用";
        why_key_off: "the key is switched off" / "密钥已停用";
        why_no_keys: "the channel has no key" / "渠道没有密钥";
        why_group: "the token may not use this channel (groups)" / "令牌不可使用此渠道（分组限制）";
        why_no_price: "no price, and the token's quota is in dollars" / "没有价格，而令牌额度以美元计";
        why_not_offered: "does not offer the model" / "不提供此模型";
        step(number: usize, model: &str): "Step {number}: {model}" / "第 {number} 步：{model}";

        // Commands.
        about_capacity: "Show how many calls the pool can serve per minute and per day" / "查看号池每分钟和每天可处理的调用数";
        about_explain: "Say which candidates a call would try, in which order, and why not the others" / "说明调用会依次尝试哪些候选，以及为何不使用其他候选";
        about_model: "The model's public name" / "模型的公开名称";
        about_only_model: "Only this model" / "只看此模型";
        about_token: "Ask as this token; without it, every channel may be used" / "以此令牌的身份查询；不设置则可使用所有渠道";
        about_prompt: "Prompt tokens of a call [default: 1000]" / "单次调用的输入 token 数 [默认值：1000]";
        about_completion: "Completion tokens of a call [default: 500]" / "单次调用的输出 token 数 [默认值：500]";
        about_channel_pause: "Pause a channel or a model of it: no calls until the time is over" / "暂停渠道或其中一个模型：到期前不向其发送调用";
        about_channel_retry: "End every rest and pause of a channel, its keys and models" / "结束渠道及其密钥和模型的所有休息与暂停";
        about_key_pause: "Pause a key or a model on it: no calls until the time is over" / "暂停密钥或其上的一个模型：到期前不向其发送调用";
        about_for: "How long, such as 1h, 5h or 24h; from 1m to 30d" / "时长，例如 1h、5h 或 24h；范围为 1m 到 30d";
        about_pause_model: "Only this upstream model" / "仅此上游模型";
        bad_length: "Give a length from 1m to 30d, such as 5h." / "请输入 1m 到 30d 之间的时长，例如 5h。";
        no_such_model: "The channel has no such upstream model." / "该渠道没有此上游模型。";
        channel_paused(name: &str, until: &str): "Channel “{name}” is paused until {until}." / "渠道“{name}”已暂停至 {until}。";
        channel_retried(name: &str): "Channel “{name}” is tried again from the next call on." / "渠道“{name}”从下一次调用起恢复使用。";
        key_paused(name: &str, until: &str): "Key {name} is paused until {until}." / "密钥 {name} 已暂停至 {until}。";
    }
}
