//! The pages of tokens.

use super::texts;

texts! {
    /// The pages of tokens.
    Tokens {
        title: "Tokens" / "令牌";
        add: "New token" / "新建令牌";
        new_title: "New token" / "新建令牌";
        filter_hint: "Filter tokens…" / "筛选令牌…";
        no_match: "No token matches the filter." / "没有符合筛选条件的令牌。";
        empty_title: "No tokens yet" / "还没有令牌";
        empty_text: "A token is what a client presents to this server. Make one for each person, device or program, so that each can be limited and revoked on its own." / "令牌是客户端访问本服务的凭据。建议为每个人、每台设备或每个程序单独创建，以便分别限制和吊销。";
        value: "Value" / "令牌值";
        scope: "Models" / "模型";
        quota: "Quota" / "额度";
        last_used: "Last used" / "最近使用";
        never_used: "not in the usage log" / "用量日志中无记录";
        all_models: "all models" / "全部模型";
        more_models(first: &str, more: usize): "{first} and {more} more" / "{first} 及另外 {more} 项";
        unlimited: "unlimited" / "不限";
        spent_of(spent: &str, limit: &str): "{spent} of {limit}" / "已用 {spent} / {limit}";
        resets_at(at: &str): "starts anew {at}" / "{at} 重置";
        resets_never: "does not start anew" / "不重置";
        state_on: "on" / "启用";
        state_off: "off" / "停用";
        state_expired: "expired" / "已过期";
        state_ends_soon: "ends soon" / "即将到期";
        state_used_up: "quota used up" / "额度已用尽";
        created(at: &str): "made {at}" / "创建于 {at}";
        ends(at: &str): "ends {at}" / "{at} 到期";

        created_notice: "The token was made. Copy its value now; later this page asks for your password." / "令牌已创建。请立即复制令牌值，之后再查看需要输入密码。";
        rotated_notice: "The token has a new value. Copy it now; later this page asks for your password." / "令牌已换成新值。请立即复制，之后再查看需要输入密码。";
        value_title(name: &str): "Value of {name}" / "“{name}”的令牌值";
        value_secret: "Whoever has this value can spend this token's quota. It is shown for a few minutes." / "任何持有该值的人都能使用此令牌的额度。此页仅短时间内显示。";
        show_value: "Show value" / "查看令牌值";
        confirm_title: "Confirm your password" / "确认密码";
        confirm_text: "The value is shown only after you enter the password of your account again." / "需再次输入账户密码才会显示令牌值。";
        wrong_password: "This is not your password." / "密码不正确。";
        snippets: "Ready to paste" / "可直接粘贴的示例";
        base_url: "Base URL" / "接口地址";
        guessed_url: "Taken from the address in your browser. Set PUBLIC_URL if clients use another one." / "取自浏览器中的地址。若客户端使用其他地址，请设置 PUBLIC_URL。";
        no_models_yet: "No channel serves a model that this token may use yet; replace MODEL in the examples." / "目前没有渠道提供此令牌可用的模型，请替换示例中的 MODEL。";
        openclaw_more: "Choose models for OpenClaw" / "为 OpenClaw 选择模型";
        openclaw_apply: "One command that applies it" / "一条命令即可应用";
        to_token: "To the token" / "返回令牌";

        warn_no_price(models: &str): "The quota is in dollars, so calls to models without a price are refused: {models}. Set their price on the channel." / "额度以美元计，未设置价格的模型会被拒绝：{models}。请在渠道中设置价格。";
        warn_no_models: "No channel that is on serves a model that this token may use." / "没有已启用的渠道提供此令牌可用的模型。";
        warn_unknown(models: &str): "No channel serves: {models}." / "没有渠道提供：{models}。";

        rotation: "Replace the value" / "更换令牌值";
        rotation_text: "Makes a new value. The present one goes on working for the time that you choose, so that clients can be changed one by one." / "生成新的令牌值。现有值在所选时间内继续有效，便于逐个更新客户端。";
        grace: "The present value works for" / "现有值继续有效";
        grace_none: "no longer (ends at once)" / "立即失效";
        grace_hour: "1 hour" / "1 小时";
        grace_day: "24 hours" / "24 小时";
        grace_week: "7 days" / "7 天";
        rotate: "Make a new value" / "生成新值";
        previous_values: "Old values that still work" / "仍然有效的旧值";
        previous_until(at: &str): "until {at}" / "有效至 {at}";
        end_sure: "Clients that still use an earlier value get 401 at once. An ended value cannot be brought back." / "仍在使用旧值的客户端会立即收到 401，失效的值无法恢复。";
        end_yes: "Yes, end it" / "确认失效";
        reset_yes: "Yes, reset" / "确认清零";
        end_now: "End now" / "立即失效";
        end_all_now: "End all now" / "全部立即失效";
        previous_ended: "The old values no longer work." / "旧值已失效。";
        switched_on: "The token is on." / "令牌已启用。";
        switched_off: "The token is off; calls with it are refused from now on." / "令牌已停用，使用它的调用从现在起被拒绝。";
        reset_spent: "Reset what was spent" / "清零已用额度";
        reset_spent_hint: "Counts the present period from zero again. The usage log is not changed." / "将当前周期的已用额度归零，不影响用量日志。";
        spent_was_reset: "The quota of the present period counts from zero again." / "当前周期的额度已重新从零计算。";
        state_and_quota: "State and quota" / "状态与额度";
        use_title: "Use" / "使用情况";
        use_none: "No client has used this token yet." / "还没有客户端使用过此令牌。";
        clients: "Clients" / "客户端";
        client_version: "Version" / "版本";
        last_seen: "Last seen" / "最近出现";
        recent_models: "Models asked for lately" / "近期请求的模型";
        recent_calls: "Calls" / "调用次数";
        recent_last: "Last" / "最近一次";
        recent_hint: "Counted in its last 1,000 calls. A client that tells no version of its own is shown with that of its library." / "按最近 1,000 次调用统计。未告知自身版本的客户端显示其所用库的版本。";

        delete_title(name: &str): "Delete {name}?" / "删除“{name}”？";
        delete_text: "Its value stops working at once and is erased. Its calls stay in the usage log under its name. This cannot be undone; to stop it for a while, switch it off." / "令牌值立即失效并被清除，其调用记录仍以该名称保留在用量日志中。此操作无法撤销；若只想暂停使用，请停用它。";
        delete_in_use(count: i64): "Requests in the last 7 days: {count}. The clients behind them will get 401." / "最近 7 天的请求数：{count}。这些客户端此后将收到 401。";
        delete_unused: "No requests in the last 7 days." / "最近 7 天没有请求。";
    }
}

texts! {
    /// The form of a token.
    TokenForm {
        section_identity: "Name and value" / "名称与令牌值";
        section_scope: "What it may use" / "可用范围";
        section_limits: "Limits" / "限制";
        section_client: "Client" / "客户端";
        name_hint: "For you: who or what uses it. The usage log shows it." / "供您识别：谁或什么程序在使用。会显示在用量日志中。";
        generate: "Generate a value" / "自动生成";
        generate_hint: "sk- and 48 random characters." / "sk- 加 48 个随机字符。";
        take_over: "Take over a value that clients already use" / "沿用客户端已在使用的值";
        given_value: "Value to take over" / "沿用的令牌值";
        given_value_hint: "32 to 128 visible ASCII characters, without spaces." / "32 到 128 个可见 ASCII 字符，不含空格。";
        value_length: "A value has 32 to 128 characters. Paste all of it, or let one be generated." / "令牌值长度须为 32 到 128 个字符。请完整粘贴，或选择自动生成。";
        value_characters: "Only visible ASCII characters, without spaces. Check for a line break or a full-width character." / "只能包含可见 ASCII 字符且不含空格。请检查是否混入换行或全角字符。";
        value_taken: "Another token has this value. Give a different one, or let one be generated." / "该值已被其他令牌使用。请换一个，或选择自动生成。";
        models_hint: "Names, or beginnings such as gpt-*; one per line. Empty: all models." / "模型名，或前缀如 gpt-*；每行一个。留空表示全部模型。";
        known_models: "Choose from the models that channels serve" / "从渠道提供的模型中选择";
        model_star(entry: &str): "`{entry}`: a * may only stand at the end, as in gpt-*." / "`{entry}`：* 只能放在末尾，例如 gpt-*。";
        model_too_long(entry: &str): "`{entry}`: a model name has at most 200 characters." / "`{entry}`：模型名最多 200 个字符。";
        too_many(max: usize): "At most {max} entries; shorten the list, for models with prefixes such as gpt-*." / "最多 {max} 项，请精简列表；模型可使用前缀，例如 gpt-*。";
        groups: "Channel groups" / "渠道分组";
        groups_hint: "Only channels of these groups serve it; separate with commas. Empty: every channel." / "仅由这些分组的渠道提供服务，用逗号分隔。留空表示全部渠道。";
        known_groups(groups: &str): "Groups in use: {groups}." / "现有分组：{groups}。";
        group_too_long(entry: &str): "`{entry}`: a group's name has at most 50 characters." / "`{entry}`：分组名最多 50 个字符。";
        cidrs: "Client addresses" / "客户端地址";
        cidrs_hint: "Addresses or networks such as 203.0.113.7 or 10.0.0.0/8; one per line. Empty: every address." / "地址或网段，例如 203.0.113.7 或 10.0.0.0/8；每行一个。留空表示任意地址。";
        cidr_wrong(entry: &str): "`{entry}` is not an address or a network. Write 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32." / "`{entry}` 不是地址或网段。请写成 203.0.113.7、10.0.0.0/8 或 2001:db8::/32。";
        expiry: "Expiry" / "有效期";
        expiry_entered: "at the time below" / "按下方时间";
        expiry_week: "in 7 days" / "7 天后";
        expiry_month: "in 30 days" / "30 天后";
        expiry_quarter: "in 90 days" / "90 天后";
        expiry_year: "in 1 year" / "1 年后";
        expiry_never: "never" / "永不过期";
        expires_at: "Ends at" / "到期时间";
        expires_at_hint(zone: &str): "In the server's time zone, {zone}. Empty: never." / "按服务器时区 {zone}。留空表示永不过期。";
        expires_at_wrong: "Write a date and a time such as 2027-01-31T18:00, or leave it empty." / "请填写日期和时间，例如 2027-01-31T18:00，或留空。";
        expires_at_past: "This time is past. Choose a later one; to stop the token now, switch it off." / "该时间已过。请选择更晚的时间；若要立即停止令牌，请停用它。";
        quota_unit: "Quota" / "额度";
        unit_none: "no quota" / "不限额度";
        unit_dollars: "dollars" / "美元";
        unit_tokens: "tokens" / "Token 数";
        unit_requests: "requests" / "请求数";
        quota_unit_hint: "A token with a quota in dollars is refused models that have no price, unless they are known to be free." / "以美元限额的令牌不能使用未设置价格的模型，已知免费的除外。";
        quota_unit_missing: "Choose what the amount counts, or empty the amount." / "请选择额度单位，或清空额度数值。";
        quota_limit: "Amount" / "额度数值";
        quota_limit_hint: "Dollars with up to six decimals, such as 2.50; else a whole number." / "美元最多六位小数，例如 2.50；其他单位为整数。";
        quota_dollars_wrong: "Enter an amount above 0 such as 2.50, with a point and at most six decimals." / "请输入大于 0 的金额，例如 2.50，使用小数点，最多六位小数。";
        quota_count_wrong: "Enter a whole number above 0, without separators." / "请输入大于 0 的整数，不带分隔符。";
        quota_reset: "Starts anew" / "重置周期";
        reset_never: "never" / "不重置";
        reset_day: "every day" / "每天";
        reset_week: "every week (Monday)" / "每周（周一）";
        reset_month: "every month" / "每月";
        requests_per_minute: "Requests per minute" / "每分钟请求数";
        requests_per_minute_hint: "In any 60 seconds. Empty: unlimited." / "任意 60 秒内。留空表示不限。";
        weight: "Weight" / "权重";
        weight_hint: "When calls of several tokens wait for the same keys: twice the weight, twice the calls. 1 to 100." / "多个令牌的调用等待相同密钥时，权重加倍，得到的调用也加倍。1 到 100。";
        profile: "Client profile" / "客户端类型";
        profile_generic: "Generic" / "通用";
        profile_generic_hint: "Any client that follows OpenAI's conventions, such as the official SDKs." / "任何遵循 OpenAI 约定的客户端，例如官方 SDK。";
        profile_openclaw: "OpenClaw" / "OpenClaw";
        profile_openclaw_hint: "OpenClaw reads errors in its own way: some block every model of the provider for minutes. With this profile it gets answers that make it fall back to its next model at once." / "OpenClaw 对错误有自己的处理方式，部分错误会使整个服务商的模型停用数分钟。选择此类型后，返回的错误能让它立即切换到下一个模型。";
        enabled: "Token is on" / "启用此令牌";
        enabled_hint: "Off: every call with it is refused." / "停用后，使用它的调用全部被拒绝。";
    }
}
