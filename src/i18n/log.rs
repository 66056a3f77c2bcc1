//! The usage log.

use super::texts;
use crate::model::usage::{CallResult, OutcomeClass, WaitReason};

texts! {
    /// The usage log and one call's page.
    Log {
        title: "Usage log" / "用量日志";
        call_title: "Call" / "调用详情";
        call_back: "Back to the log" / "返回日志";
        download: "Download CSV" / "下载 CSV";
        live_log: "Live log" / "实时日志";
        live_off: "Stop following" / "停止实时更新";
        live_pause: "Pause" / "暂停";
        live_paused: "Paused" / "已暂停";
        live_go_on: "Go on" / "继续";
        live_hint: "The newest calls come in at the top; pointing at the list holds it still." / "最新的调用显示在最上方；鼠标悬停在列表上时暂停更新。";
        under_way(count: usize): "Under way: {count}" / "进行中：{count}";
        under_way_more(count: usize): "Under way: more than {count}, of which those that came first" / "进行中：超过 {count}，显示最早到达的";
        under_way_none: "No call is under way." / "没有进行中的调用。";
        stage: "Where" / "阶段";
        stage_waiting: "in line" / "排队";
        stage_upstream: "at the upstream" / "等待上游";
        stage_answering: "answering" / "返回中";
        for_long: "For" / "已用时间";
        altogether: "Altogether" / "总用时";
        filters: "Filters" / "筛选条件";
        filters_active(count: usize): "Filters ({count} active)" / "筛选条件（已启用 {count} 项）";
        clear_filters: "Clear filters" / "清除筛选";
        period: "Period" / "时间范围";
        period_1h: "Last hour" / "最近 1 小时";
        period_today: "Today" / "今天";
        period_yesterday: "Yesterday" / "昨天";
        period_24h: "24 h" / "24 小时";
        period_7d: "7 days" / "7 天";
        period_30d: "30 days" / "30 天";
        period_month: "This month" / "本月";
        period_90d: "90 days" / "90 天";
        period_365d: "Year" / "一年";
        period_all: "All" / "全部";
        period_range: "Own period" / "自定义";
        from: "From" / "开始时间";
        to: "To" / "结束时间";
        range_hint: "A day such as 2026-05-01, or with the time, 2026-05-01T18:30." / "填写日期（如 2026-05-01），也可加上时间（如 2026-05-01T18:30）。";
        range_unreadable: "Please write a day as 2026-05-01, or with the time as 2026-05-01T18:30." / "请按 2026-05-01 的格式填写日期，需要时间时写成 2026-05-01T18:30。";
        range_backwards: "The end lies before the start; swap them or choose a later end." / "结束时间早于开始时间，请调换或选择更晚的结束时间。";
        zone(zone: &str): "Times are in {zone}." / "时间均为 {zone} 时区。";
        time: "Time" / "时间";
        token: "Token" / "令牌";
        channel: "Channel" / "渠道";
        key: "Key" / "密钥";
        key_hint: "Choose a channel and apply to filter by one of its keys." / "先选择渠道并应用，再按其密钥筛选。";
        channel_and_key: "Channel · key" / "渠道 · 密钥";
        model: "Model" / "模型";
        model_filter: "Model (asked or served)" / "模型（请求的或实际的）";
        model_hint: "A name; * stands for any text." / "模型名称，* 代表任意文本。";
        upstream_filter: "Upstream model (exact)" / "上游模型（完全一致）";
        asked_model: "Model asked for" / "请求的模型";
        served_model: "Model that served" / "实际的模型";
        endpoint: "Endpoint" / "接口";
        stream: "Stream" / "流式";
        streaming: "Streaming" / "流式";
        not_streaming: "Not streaming" / "非流式";
        result: "Result" / "结果";
        any_failure: "Any failure" / "所有失败";
        status_filter: "HTTP status" / "HTTP 状态码";
        status_hint: "Such as 429, or 5xx." / "例如 429 或 5xx。";
        status_unreadable: "Please enter a status such as 429, or a class such as 5xx." / "请输入状态码（如 429）或类别（如 5xx）。";
        client_kind: "Client" / "客户端";
        client_hint: "Such as openclaw, or openai-*." / "例如 openclaw 或 openai-*。";
        search: "Request id or trace id" / "请求编号或追踪编号";
        check_filters: "Some filters need a look; nothing was searched." / "有筛选条件需要修改，尚未查询。";
        unknown_choice: "This choice does not exist; choose another." / "该选项不存在，请重新选择。";
        too_slow: "This takes the database too long. Choose a shorter period, or fewer conditions with * and parts of ids." / "查询耗时过长。请缩短时间范围，或减少带 * 的条件和编号片段。";
        first_and_total: "First token / total" / "首字 / 总耗时";
        tokens: "Prompt / completion" / "输入 / 输出";
        tokens_detail(prompt: &str, cached: &str, completion: &str, reasoning: &str): "Prompt {prompt} (cached {cached}), completion {completion} (reasoning {reasoning})" / "输入 {prompt}（缓存 {cached}），输出 {completion}（推理 {reasoning}）";
        estimated: "estimated, because the upstream sent no counts" / "估算值，上游未返回用量";
        cost: "Cost" / "费用";
        attempts: "Attempts" / "尝试次数";
        deleted: "deleted" / "已删除";
        gone: "no longer known" / "已无记录";
        empty: "No calls yet: they show up here as soon as a client makes one." / "还没有调用记录，客户端发起调用后会显示在这里。";
        empty_button: "Set up a client" / "配置客户端";
        nothing_found: "No call matches these filters." / "没有符合条件的调用。";
        pages: "Pages" / "分页";
        newest: "Newest" / "最新";
        newer: "Newer" / "较新";
        older: "Older" / "较旧";
        table: "Calls, newest first" / "调用记录，最新在前";
        csv_truncated(rows: usize): "Stopped after {rows} rows; choose a shorter period for the rest." / "已达 {rows} 行上限，其余部分请缩短时间范围后下载。";
        request_id: "Request id" / "请求编号";
        trace_id: "Trace id" / "追踪编号";
        trace_unreadable: "A trace id has 32 hexadecimal digits, 0-9 and a-f." / "追踪编号由 32 位十六进制数字组成（0-9、a-f）。";
        views: "Views of the log" / "日志视图";
        by_call: "Calls" / "调用";
        by_turn: "Turns" / "轮次";
        turn: "Turn" / "轮次";
        turn_title: "Turn of an agent" / "智能体的一轮";
        turn_table: "Turns, newest first" / "轮次，最新在前";
        turn_text: "What an agent calls to answer one message: the calls of one token with the same trace id." / "智能体为回答一条消息而发起的全部调用，即同一令牌下追踪编号相同的调用。";
        turn_empty: "No turns yet: they show up here as soon as a client sends a traceparent header, as OpenClaw does." / "还没有轮次。客户端发送 traceparent 请求头（例如 OpenClaw）后会显示在这里。";
        turn_nothing_found: "No turn has a call that matches these filters." / "没有包含符合条件的调用的轮次。";
        turn_calls: "Calls" / "调用次数";
        turn_models: "Models" / "模型";
        turn_duration: "Duration" / "历时";
        turn_failed(count: u32): "{count} failed" / "失败 {count} 次";
        turn_more_models(count: usize): "and {count} more" / "另外 {count} 个";
        turn_started: "First call" / "首次调用";
        turn_ended: "End of the last call" / "最后一次调用结束";
        turn_span(start: &str, end: &str): "{start} to {end}" / "{start} 至 {end}";
        turn_sums(calls: &str, time: &str, tokens: &str, cost: &str): "Calls: {calls} · {time} · {tokens} tokens · {cost}" / "{calls} 次调用，历时 {time} · {tokens} token · {cost}";
        turn_shortened(rows: usize): "Only the newest calls are shown: {rows}. The list of calls has all." / "仅显示最近 {rows} 次调用，完整记录见调用列表。";
        turn_as_calls: "In the list of calls" / "在调用列表中查看";
        turn_open: "Open the turn" / "查看整轮";
        turn_course: "Course of the turn" / "本轮过程";
        turn_course_summary(count: usize, total: &str): "Calls: {count}, over {total}; the table below has the same figures" / "共 {count} 次调用，历时 {total}；下表列出相同数据";
        as_curl: "As a curl command" / "curl 命令";
        as_curl_text: "Asks the same endpoint and model. What was said is not kept, so other words stand in its place; the token is read from the variable ONEPOOL_TOKEN." / "请求相同的接口和模型。对话内容不会保存，此处以示例文字代替；令牌从环境变量 ONEPOOL_TOKEN 读取。";
        this_call: "this call" / "本次调用";
        client_address: "Client address" / "客户端地址";
        error_code: "Error code" / "错误代码";
        queue: "Waited for a slot" / "排队等待";
        waited: "Waited" / "等待";
        waited_for_limit: "limits were used up" / "限额已用尽";
        waited_for_rest: "what could serve it rested" / "可用的密钥或模型在休息";
        waited_for_busy: "calls under way came first" / "等待进行中的调用结束";
        first_token: "First token" / "首字";
        total: "Total" / "总耗时";
        prompt_tokens: "Prompt tokens" / "输入 token";
        cached_tokens: "of these cached" / "其中缓存";
        completion_tokens: "Completion tokens" / "输出 token";
        pictures: "Pictures" / "图片";
        characters: "Characters spoken" / "朗读字符数";
        sound: "Sound heard" / "音频时长";
        video: "Video made" / "视频时长";
        searches: "Searches" / "检索次数";
        reasoning_tokens: "of these reasoning" / "其中推理";
        waterfall: "Course of the call" / "调用过程";
        waterfall_summary(count: usize, total: &str): "{count} upstream attempts over {total}; the table below has the same figures" / "共 {count} 次上游尝试，总计 {total}；下表列出相同数据";
        no_attempts: "No upstream was asked: the call ended before." / "未请求上游，调用在此之前已结束。";
        waiting: "until the first content" / "等待首个内容";
        answering: "answering" / "返回内容";
        attempt_number: "No." / "序号";
        started: "Start" / "开始";
        first_byte: "First content" / "首个内容";
        duration: "Duration" / "耗时";
        status: "Status" / "状态码";
        class: "Taken for" / "判定";
        detail: "Detail" / "详情";
        result_ok: "answered" / "成功";
        result_client_error: "bad request" / "请求有误";
        result_token_limit: "token's limit" / "令牌受限";
        result_pool_exhausted: "pool exhausted" / "号池耗尽";
        result_no_channel: "no channel" / "无可用渠道";
        result_upstream_error: "upstream failed" / "上游错误";
        result_timeout: "timed out" / "超时";
        result_interrupted: "broke off" / "中途断开";
        result_client_closed: "client left" / "客户端断开";
        result_shutting_down: "server stopping" / "服务停止";
        class_success: "success" / "成功";
        class_rate_limited: "rate-limited" / "限流";
        class_model_unavailable: "model unavailable" / "模型不可用";
        class_key_invalid: "key invalid" / "密钥无效";
        class_out_of_credit: "out of credit" / "余额不足";
        class_host_error: "host error" / "主机错误";
        class_client_error: "request at fault" / "请求有误";
        class_ambiguous: "unclear answer" / "回答不明确";
        class_client_closed: "client left" / "客户端断开";
        class_paused: "paused by operator" / "已由管理员暂停";
        class_budget_reached: "budget used up" / "预算已用完";
    }
}

impl Log {
    /// What an end of a call is called.
    pub fn result_name(&self, result: CallResult) -> &'static str {
        match result {
            CallResult::Ok => self.result_ok(),
            CallResult::ClientError => self.result_client_error(),
            CallResult::TokenLimit => self.result_token_limit(),
            CallResult::PoolExhausted => self.result_pool_exhausted(),
            CallResult::NoChannel => self.result_no_channel(),
            CallResult::UpstreamError => self.result_upstream_error(),
            CallResult::Timeout => self.result_timeout(),
            CallResult::Interrupted => self.result_interrupted(),
            CallResult::ClientClosed => self.result_client_closed(),
            CallResult::ShuttingDown => self.result_shutting_down(),
        }
    }

    /// What a call waited for, as the reason for its waiting.
    pub fn wait_reason(&self, reason: WaitReason) -> &'static str {
        match reason {
            WaitReason::Limit => self.waited_for_limit(),
            WaitReason::Rest => self.waited_for_rest(),
            WaitReason::Busy => self.waited_for_busy(),
        }
    }

    /// What a class of an upstream's answer is called.
    pub fn class_name(&self, class: OutcomeClass) -> &'static str {
        match class {
            OutcomeClass::Success => self.class_success(),
            OutcomeClass::RateLimited => self.class_rate_limited(),
            OutcomeClass::ModelUnavailable => self.class_model_unavailable(),
            OutcomeClass::KeyInvalid => self.class_key_invalid(),
            OutcomeClass::OutOfCredit => self.class_out_of_credit(),
            OutcomeClass::HostError => self.class_host_error(),
            OutcomeClass::ClientError => self.class_client_error(),
            OutcomeClass::Ambiguous => self.class_ambiguous(),
            OutcomeClass::ClientClosed => self.class_client_closed(),
            OutcomeClass::Paused => self.class_paused(),
            OutcomeClass::BudgetReached => self.class_budget_reached(),
        }
    }
}
