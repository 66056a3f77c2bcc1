//! Channels, keys, models and tests.

use super::texts;

texts! {
    /// The pages of channels and keys.
    Channels {
        title: "Channels" / "渠道";
        available(available: usize, all: usize): "{available}/{all} available" / "{available}/{all} 可用";
        filter_hint: "Filter… press e to focus" / "筛选… 按 e 聚焦";
        no_match: "No channel matches the filter." / "没有符合筛选条件的渠道。";
        add_channel: "Add a channel" / "添加渠道";
        empty: "A channel is one upstream with its keys. Add the first one to serve a model." / "渠道是一个上游及其密钥。添加第一个渠道即可开始提供模型。";
        keys: "Keys" / "密钥";
        models: "Models" / "模型";
        priority: "Priority" / "优先级";
        weight: "Weight" / "权重";
        confirm_host: "This sends the channel's keys or extra headers to another host or proxy. Enter your password to confirm." / "此修改会把该渠道的密钥或附加请求头发送到另一个主机或代理。请输入您的密码以确认。";
        confirm_wrong: "This is not your password." / "密码不正确。";
        calls_24h: "Calls, 24 h" / "24 小时调用";
        calls_24h_hint: "Upstream calls of the last 24 hours, failed ones included" / "最近 24 小时的上游调用，含失败";
        answered_share: "Answered" / "成功率";
        first_content_p50: "First content" / "首个内容";
        first_content_hint: "Half of the answered calls had their first content within this time" / "半数成功调用的首个内容在此时间内到达";
        priority_weight: "Priority / weight" / "优先级 / 权重";
        models_more(first: &str, count: usize): "{first} and {count} more" / "{first} 等，另有 {count} 个";
        state_available: "Available" / "可用";
        state_off: "Off" / "已停用";
        state_no_keys: "No key" / "无密钥";
        state_no_models: "No model" / "无模型";
        state_resting(left: &str): "Resting {left}" / "休息中 {left}";
        state_paused(left: &str): "Paused {left}" / "已暂停 {left}";
        state_invalid(invalid: usize, all: usize): "Keys invalid {invalid}/{all}" / "密钥失效 {invalid}/{all}";
        state_key_invalid: "Invalid" / "失效";

        // What upstream answers were taken for, and what to do.
        class_success: "worked" / "成功";
        class_rate_limited: "rate-limited" / "已限流";
        class_model_unavailable: "model unavailable" / "模型不可用";
        class_key_invalid: "key invalid" / "密钥无效";
        class_out_of_credit: "out of credit" / "余额不足";
        class_host_error: "host error" / "主机错误";
        class_client_error: "request refused" / "请求被拒绝";
        class_ambiguous: "unclear answer" / "回答不明确";
        class_client_closed: "client left" / "客户端已断开";
        class_paused: "paused by operator" / "已由管理员暂停";
        class_budget_reached: "budget used up" / "预算已用完";
        state_budget: "Budget used up" / "预算已用完";
        advice_rate_limited: "The key works, but its limit is used up for now. Wait, or add keys of another account; keys of one account belong into one quota group." / "密钥有效，但限额暂时用完。请等待，或添加其他账户的密钥；同一账户的密钥应放入同一额度组。";
        advice_model_unavailable: "The upstream does not serve this model to this key. Check the model's spelling against the upstream's list, and whether the account may use it." / "上游不向此密钥提供该模型。请对照上游的模型列表检查名称，并确认账户有权使用。";
        advice_key_invalid: "The upstream does not accept the key. Check that it was pasted whole, belongs to this upstream, and was not revoked; then replace it." / "上游不接受此密钥。请检查是否粘贴完整、是否属于该上游、是否已被吊销，然后更换。";
        advice_out_of_credit: "The account behind the key has no credit left. Top it up, or switch the key off." / "密钥所属账户余额不足。请充值，或停用此密钥。";
        advice_host_error: "The host did not answer properly. Check the base URL, the proxy and the network; if they are right, the upstream has a fault: try again later." / "主机未能正常响应。请检查接口地址、代理和网络；若均无误，则是上游故障，请稍后再试。";
        advice_client_error: "The upstream refused the request itself. Read its text: often the model's name is wrong, or the model is not for chat." / "上游拒绝了请求本身。请阅读其说明：常见原因是模型名称有误，或该模型不支持对话。";
        advice_ambiguous: "The answer does not say what is wrong. Read the upstream's text and test again." / "回答没有说明问题所在。请阅读上游原文后重新测试。";
        advice_no_list: "This upstream gives no model list. That does no harm: type the models on the channel." / "此上游不提供模型列表。这没有影响：请在渠道中手动填写模型。";
        advice_settings: "The request was not sent as the channel is configured. Check its base URL, proxy, headers and the switch for private addresses." / "按当前渠道配置无法发送请求。请检查接口地址、代理、请求头以及私有地址开关。";
        advice_no_model: "There is no model to test with. Add one to the channel and test again." / "没有可用于测试的模型。请先为渠道添加模型，再重新测试。";

        // The form.
        new_title: "Add a channel" / "添加渠道";
        edit_title(name: &str): "Edit {name}" / "编辑 {name}";
        base_url: "Base URL" / "接口地址";
        base_url_hint: "Such as https://api.example.com/v1; with or without /v1." / "例如 https://api.example.com/v1；是否带 /v1 均可。";
        provider: "Provider" / "服务商";
        provider_hint: "Whose rules hold: what its refusals mean, and when its days begin. Leave it to the base URL if you are not sure." / "决定适用哪家的规则：拒绝信息的含义，以及每日额度何时重置。不确定时，可保留“根据接口地址判断”。";
        provider_by_address: "By the base URL" / "根据接口地址判断";
        plan: "Plan" / "套餐";
        plan_hint: "Which of the provider's plans the account has; the provider's limits depend on it. Only the provider's own plans fit." / "账户使用该服务商的哪种套餐，限额由此决定。只能选择该服务商自己的套餐。";
        plan_usual: "The provider's usual one" / "该服务商的常用套餐";
        plan_of_another(plan: &str): "“{plan}” is a plan of another provider; choose one of this provider's, or the usual one." / "“{plan}”是其他服务商的套餐；请选择该服务商的套餐，或使用常用套餐。";
        plan_gone(plan: &str): "{plan} (no longer known)" / "{plan}（已不存在）";
        provider_gone(id: &str): "{id} (no longer known; treated as generic)" / "{id}（已不存在，按通用处理）";
        provider_other(name: &str): "The base URL belongs to {name}; edit the channel to use its rules." / "接口地址属于 {name}；如需使用其规则，请编辑渠道。";
        provider_files_wrong: "Files of providers or of the ranking are wrong; those that were right before hold" / "服务商或排名文件有误，仍沿用之前正确的内容";
        protocol: "Protocol" / "协议";
        protocol_openai: "OpenAI-compatible" / "OpenAI 兼容";
        keys_hint: "Paste any number: one per line, or separated by commas, semicolons or spaces. Lines of a .env file (NAME=key) and “label: key” give labels." / "可一次粘贴任意多个：每行一个，或用逗号、分号、空格分隔。.env 文件的行（NAME=key）和“标签: 密钥”会自动带上标签。";
        models_hint: "The upstream's names, one per line. They are offered under the same names." / "上游的模型名称，每行一个，并以相同名称对外提供。";
        fetch_on_create: "Fetch the models from the upstream if none are typed" / "未填写模型时，从上游获取模型列表";
        fetch_on_create_hint: "Asks the upstream's model list with the first key." / "使用第一个密钥查询上游的模型列表。";
        redirects: "Model redirects" / "模型重定向";
        redirects_hint: "One per line: public = upstream (also => or ->). A public name may stand on several lines; calls are then spread over its upstream models." / "每行一个：公开名称 = 上游名称（也可用 => 或 ->）。同一公开名称可出现多行，调用会分摊到各上游模型。";
        routing: "Routing: priority, weight, groups" / "路由：优先级、权重、分组";
        priority_hint: "Channels of a higher priority are tried first." / "优先级高的渠道先被使用。";
        weight_hint: "Share of the calls among channels of the same priority." / "在同一优先级的渠道之间分配调用的比例。";
        groups: "Groups" / "分组";
        groups_hint: "Separated by commas. A token that names groups uses only channels in one of them." / "用逗号分隔。指定了分组的令牌只使用属于这些分组的渠道。";
        network: "Network: headers, proxy, time limits" / "网络：请求头、代理、时限";
        headers: "Extra headers" / "附加请求头";
        headers_hint: "One per line: Name: value. Saved values are masked; an unchanged line keeps its value. Credentials belong into the keys." / "每行一个：名称: 值。已保存的值会被遮盖，未修改的行保留原值。凭据请添加为密钥。";
        proxy: "Outbound proxy" / "出站代理";
        proxy_hint: "http://, https://, socks5:// or socks5h://, perhaps with user:password@. A saved password is masked; leave it so to keep it." / "http://、https://、socks5:// 或 socks5h://，可带 用户名:密码@。已保存的密码会被遮盖，不改动即保留。";
        connect_s: "Connect, seconds" / "连接时限（秒）";
        first_byte_s: "First content, seconds" / "首个内容时限（秒）";
        idle_s: "Between two pieces, seconds" / "数据间隔时限（秒）";
        timeout_hint(default: &str): "Empty: {default}, the server's default." / "留空则使用服务器默认值 {default}。";
        allow_private: "The upstream may be on a private or loopback address" / "允许上游位于私有或回环地址";
        allow_private_hint: "Needed for a model server on this machine or in the local network; leave it off for vendors on the internet." / "本机或局域网内的模型服务需要开启；互联网服务商请保持关闭。";
        shaping: "Requests: fixes, cache of answers" / "请求：修正、响应缓存";
        fixes: "Fixes of requests" / "请求修正";
        fixes_hint: "Only what shall differ from the provider's file; one per line: ID=on or ID=off, such as cache-control=on. The ids are in docs/fixes.md." / "只需填写与服务商文件不同的部分，每行一个：名称=on 或 名称=off，例如 cache-control=on。可用名称见 docs/fixes.zh-CN.md。";
        response_cache_s: "Cache of answers, seconds" / "响应缓存秒数";
        response_cache_hint: "OpenRouter only: equal requests are answered from its cache for so long. Empty: only as clients ask." / "仅限 OpenRouter：在此时长内，相同的请求由其缓存应答。留空则仅按客户端的要求。";
        note_hint: "For operators only." / "仅管理员可见。";
        enabled_label: "Switched on: takes calls" / "启用：接收调用";

        // What may be wrong with fields.
        url_invalid: "Please enter an address that begins with https:// or http://, such as https://api.example.com/v1." / "请输入以 https:// 或 http:// 开头的地址，例如 https://api.example.com/v1。";
        url_credentials: "Leave user and password out of the address; credentials belong into the keys." / "地址中请勿包含用户名和密码；凭据请添加为密钥。";
        url_query: "Leave out everything from “?” or “#” on." / "请去掉“?”或“#”及其后的内容。";
        url_endpoint: "Enter only the base: leave out /chat/completions and the like." / "只需填写接口的基础地址：请去掉 /chat/completions 等路径。";
        url_private: "This is a private or loopback address. If that is meant, tick “The upstream may be on a private or loopback address” below." / "这是私有或回环地址。如确需使用，请勾选下方的“允许上游位于私有或回环地址”。";
        model_invalid(name: &str): "“{name}” is not a model name: at most 200 characters, no spaces." / "“{name}”不是有效的模型名称：最多 200 个字符，不含空格。";
        too_many_models(max: usize): "At most {max} models." / "最多 {max} 个模型。";
        redirect_invalid(line: usize): "Line {line}: please write public = upstream, both without spaces." / "第 {line} 行：请写成 公开名称 = 上游名称，两者均不含空格。";
        too_many_redirects(max: usize): "At most {max} redirects." / "最多 {max} 条重定向。";
        endpoints: "Endpoints" / "接口";
        endpoints_hint: "What the upstream serves, separated by commas, such as chat, images, speech. Empty: what its provider is known to serve; what nobody knows is tried last." / "上游支持的接口，用逗号分隔，例如 chat, images, speech。留空：采用该服务商已知支持的接口；未知的接口会排在最后尝试。";
        endpoint_unknown(name: &str, all: &str): "There is no endpoint “{name}”. Please use some of: {all}; or leave it empty." / "没有名为“{name}”的接口。请使用以下名称：{all}；也可留空。";
        group_invalid: "At most 20 groups of at most 50 characters each." / "最多 20 个分组，每个最多 50 个字符。";
        header_invalid(line: usize): "Line {line}: please write Name: value, in letters that HTTP headers allow." / "第 {line} 行：请写成 名称: 值，且只使用 HTTP 请求头允许的字符。";
        header_refused(name: &str): "“{name}” is set by the server itself; remove the line." / "“{name}”由服务器自行设置，请删除该行。";
        header_authorization: "“Authorization” carries the key, so that keys can be rotated. Add the credential as a key instead." / "“Authorization”用于携带密钥，以便轮换。请将凭据添加为密钥。";
        header_masked(name: &str): "The value of “{name}” is masked and cannot be changed in part; type the whole value again." / "“{name}”的值已遮盖，不能只改一部分；请重新输入完整的值。";
        too_many_headers(max: usize): "At most {max} headers." / "最多 {max} 个请求头。";
        proxy_invalid: "Please enter http://, https://, socks5:// or socks5h:// with a host, and nothing behind the port." / "请输入以 http://、https://、socks5:// 或 socks5h:// 开头并包含主机的地址，端口之后不要有其他内容。";
        proxy_masked: "The password is masked, and the rest was changed; type the whole address again, with the password." / "密码已遮盖而其余部分有改动；请重新输入包含密码的完整地址。";
        seconds_invalid(max: i64): "Please enter seconds from 0.1 to {max}, such as 2.5." / "请输入 0.1 到 {max} 之间的秒数，例如 2.5。";

        // What becomes of pasted keys.
        paste_title: "Add keys" / "添加密钥";
        paste_button: "Add these keys" / "添加这些密钥";
        paste_nothing: "There is no key in this text." / "文本中没有密钥。";
        paste_result: "Result" / "结果";
        paste_line: "Line" / "行";
        paste_summary(added: usize, duplicates: usize, refused: usize): "{added} added, {duplicates} known already, {refused} refused." / "已添加 {added} 个，重复 {duplicates} 个，拒绝 {refused} 个。";
        paste_added: "added" / "已添加";
        paste_duplicate: "known already" / "已存在";
        paste_too_short: "refused: fewer than 4 characters" / "已拒绝：少于 4 个字符";
        paste_too_long: "refused: more than 1000 characters" / "已拒绝：超过 1000 个字符";
        paste_not_ascii: "refused: holds characters that no key has; copy it again" / "已拒绝：含有密钥中不会出现的字符，请重新复制";
        paste_no_value: "refused: the name has no value" / "已拒绝：变量没有值";
        paste_too_many(max: usize): "not read: at most {max} keys at once; paste the rest again" / "未读取：一次最多 {max} 个密钥，其余请再次粘贴";
        paste_problem(line: usize, problem: &str): "Line {line}: {problem}." / "第 {line} 行：{problem}。";

        // A channel's page.
        overview: "Overview" / "概览";
        private_addresses: "Private addresses" / "私有地址";
        allowed: "allowed" / "允许";
        seconds(seconds: &str): "{seconds} s" / "{seconds} 秒";
        created(name: &str): "Channel “{name}” was added." / "渠道“{name}”已添加。";
        created_models(count: usize): "{count} models were fetched." / "已获取 {count} 个模型。";
        created_no_models: "The models could not be fetched; test a key to see why, or type them." / "未能获取模型；请测试密钥查看原因，或手动填写。";
        switched_on: "Switched on." / "已启用。";
        switched_off: "Switched off." / "已停用。";
        no_keys_yet: "No keys yet. Without one the channel takes no calls." / "还没有密钥。没有密钥的渠道不接收调用。";
        key: "Key" / "密钥";
        label: "Label" / "标签";
        label_hint: "For operators only." / "仅管理员可见。";
        quota_group: "Quota group" / "额度组";
        quota_group_hint: "Keys of one account share a quota: give them the same group, and they rest together." / "同一账户的密钥共用额度：请填写相同的额度组，它们会一起休息。";
        added_at: "Added" / "添加时间";
        last_check: "Last test" / "上次测试";
        never_checked: "not tested" / "未测试";
        check_passed: "passed" / "通过";
        check_failed: "failed" / "未通过";
        details: "Details" / "详情";

        // Rests.
        rests: "Resting now" / "正在休息";
        rest_what: "What" / "对象";
        rest_reason: "Reason" / "原因";
        rest_left: "Back in" / "恢复倒计时";
        rest_channel: "the whole channel" / "整个渠道";
        rest_key(key: &str): "key {key}" / "密钥 {key}";
        rest_group(group: &str): "quota group {group}" / "额度组 {group}";
        rest_key_model(key: &str, model: &str): "{model} on key {key}" / "密钥 {key} 上的 {model}";
        rest_group_model(group: &str, model: &str):
            "{model} on the keys of quota group {group}" / "额度组 {group} 所有密钥上的 {model}";
        rest_models(whole: &str, models: &str): "{whole}: only models {models}" / "{whole}：仅限模型 {models}";
        rest_channel_model(model: &str): "{model} on every key" / "所有密钥上的 {model}";
        rest_status(status: u16): "HTTP {status}" / "HTTP {status}";
        retry_now: "Retry now" / "立即重试";
        retry_now_all: "Retry all now" / "全部立即重试";
        resume_now: "Resume now" / "立即恢复";
        pause: "Pause" / "暂停";
        pause_hint: "A pause is no fault: no calls go there until it is over, or until you resume it." / "暂停并非故障：在结束或手动恢复之前，不会向其发送调用。";
        pause_what: "What to pause" / "暂停对象";
        pause_whole_channel: "The whole channel" / "整个渠道";
        pause_every_model: "Every model" / "所有模型";
        pause_hours(hours: u32): "{hours} h" / "{hours} 小时";
        pause_for(hours: u32): "Pause for {hours} h" / "暂停 {hours} 小时";
        paused(until: &str): "Paused until {until}." / "已暂停至 {until}。";
        rest_cleared: "The rest is over; the next call may go there." / "已结束休息，下一次调用可以使用。";

        // Models and prices.
        models_and_prices: "Models and prices" / "模型与价格";
        prices_hint: "Prices in dollars per million tokens. Without any price, tokens with a dollar quota cannot use the model, unless it is known to be free. An empty cached price means the input price." / "价格单位为美元/百万 Token。没有任何价格的模型不能被以美元计额度的令牌使用，已知免费的除外。缓存价格留空表示与输入价格相同。";
        model: "Model" / "模型";
        context_window: "Context" / "上下文";
        max_output: "Max output" / "最大输出";
        vision: "Vision" / "视觉";
        tools: "Tools" / "工具";
        reasoning: "Reasoning" / "推理";
        price_input: "Input $" / "输入 $";
        price_cached: "Cached $" / "缓存 $";
        price_output: "Output $" / "输出 $";
        price_reasoning: "Reasoning $" / "推理 $";
        unit_prices: "Other prices $" / "其他价格 $";
        unit_prices_about: "Prices per picture, minute of sound, character, second of video or search" / "按图片、音频分钟、字符、视频秒数或检索次数计价";
        unit_prices_hint: "Separate them by spaces: image=0.04 per picture, image/1024x1024/high=0.17 for a size, a quality or both; audio_minute, million_characters (spoken), video_second, search (rankings). They are added to what the tokens cost." / "各项以空格分隔：image=0.04 表示每张图片，image/1024x1024/high=0.17 表示特定尺寸、质量或两者；另有 audio_minute（每分钟音频）、million_characters（每百万朗读字符）、video_second（每秒视频）、search（每次检索，用于重排序）。这些费用与 Token 费用相加。";
        unit_price_invalid(entry: &str): "“{entry}” is no price; write image, image/1024x1024/high, audio_minute, million_characters, video_second or search, each once, with dollars such as 0.04, at most six decimals" / "“{entry}”不是有效的价格；请使用 image、image/1024x1024/high、audio_minute、million_characters、video_second 或 search，每项一次，金额以美元计，例如 0.04，最多六位小数";
        remove: "Remove" / "移除";
        add_models_hint: "Empty rows at the end are for new models. A row without a name is left out." / "末尾的空行用于添加新模型。没有名称的行会被忽略。";
        save_models: "Save models and redirects" / "保存模型与重定向";
        fetch_models: "Fetch from the upstream" / "从上游获取";
        row_error(row: usize, field: &str, message: &str): "Row {row}, {field}: {message}" / "第 {row} 行，{field}：{message}";
        token_count_invalid: "please enter a whole number from 1 to 100000000" / "请输入 1 到 100000000 之间的整数";
        price_invalid: "please enter dollars such as 0.15, with at most six decimals, up to 1000000" / "请输入美元金额，例如 0.15，最多六位小数，不超过 1000000";
        price_incomplete: "please give both an input and an output price, or none" / "请同时填写输入和输出价格，或都留空";
        model_twice: "this model stands there twice" / "该模型重复出现";

        fetch_title(name: &str): "Models of {name}" / "{name} 的模型";
        fetch_hint: "Ticked models are offered by this channel; what you know of them already is kept." / "勾选的模型将由此渠道提供；已填写的信息会保留。";
        fetch_new: "new" / "新";
        fetch_known: "offered" / "已提供";
        fetch_gone: "no longer listed" / "上游已不再列出";
        fetch_select: "Offer" / "提供";
        fetch_apply: "Apply this selection" / "应用此选择";
        fetch_failed: "The model list could not be fetched." / "无法获取模型列表。";
        fetch_no_key: "Add a key first: the upstream's list is asked for with it." / "请先添加密钥：获取上游列表需要使用密钥。";
        models_saved(count: usize): "{count} models are offered now." / "现在提供 {count} 个模型。";

        // A key's page and its test.
        key_title(key: &str): "Key {key}" / "密钥 {key}";
        test_key: "Test this key" / "测试此密钥";
        test_hint: "Asks the model list, a short answer and a short stream. That may cost a few tokens." / "依次请求模型列表、一次简短回答和一次简短流式回答，可能消耗少量 Token。";
        test_model: "Model to test with" / "用于测试的模型";
        step_list: "Model list" / "模型列表";
        step_key: "What the provider says of the key" / "服务商对密钥的答复";
        step_chat: "Chat" / "对话";
        step_stream: "Stream" / "流式";
        step_took(ms: u32): "{ms} ms" / "{ms} 毫秒";
        step_text: "The upstream's text" / "上游原文";
        step_no_text: "(no text)" / "（无内容）";
        step_advice: "What to do" / "处理建议";
        test_passed: "Every step passed." / "所有步骤均通过。";
        test_failed: "Some steps failed; see below." / "部分步骤未通过，详见下方。";
        remove_key: "Remove this key" / "移除此密钥";
        key_removed: "The key was removed." / "密钥已移除。";

        // Deleting.
        delete_title(name: &str): "Delete the channel “{name}”?" / "删除渠道“{name}”？";
        delete_text: "Calls that are running end normally; no new ones go there. The usage log keeps the name." / "正在进行的调用会正常结束，不再有新的调用。用量日志会保留其名称。";
        delete_keys(count: usize): "Its keys are erased: {count}." / "其密钥将被清除：{count} 个。";
        delete_models: "Only this channel serves these models; nobody can call them afterwards:" / "以下模型仅由此渠道提供，删除后将无法调用：";
        delete_tokens: "These tokens would have no model left:" / "以下令牌将没有可用的模型：";
        delete_nothing: "No model and no token depends on it alone." / "没有模型或令牌仅依赖此渠道。";
        delete_key_title(key: &str): "Remove the key {key}?" / "移除密钥 {key}？";
        delete_key_text: "Its secret is erased and cannot be brought back; the usage log keeps its label." / "其内容将被清除且无法恢复；用量日志会保留其标签。";
        delete_last_key: "It is the last key that is switched on: the channel takes no calls afterwards." / "这是最后一个启用的密钥：移除后渠道将不再接收调用。";
    }
}
