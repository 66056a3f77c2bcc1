//! What `--help` says of the commands that look after the pool. A default, a unit and an example stand where people need
//! them; what an empty value does is said once, at the command.

use super::texts;

texts! {
    /// The help of commands and their options.
    Help {
        json: "Write JSON, with the names that the admin API has" / "输出 JSON，字段名与管理 API 一致";
        yes: "Do not ask for a confirmation" / "不询问确认";
        note: "A note, for operators only" / "备注，仅管理员可见";
        new_name: "Its name; unique, letter case aside" / "名称；不区分大小写，不可重复";

        status: "Show what the data folder holds and how the server on it does" / "显示数据目录的内容和其上服务的状态";

        channels: "Look after channels: list (the default), show, add, edit, switch, remove" / "管理渠道：列出（默认）、查看、添加、修改、启停、删除";
        channels_list: "List all channels" / "列出所有渠道";
        channels_show: "Show a channel, and what of it rests" / "查看渠道及其正在休息的部分";
        channels_add: "Add a channel; with --provider and --key two options are enough" / "添加渠道；使用 --provider 和 --key 只需两个选项";
        channels_edit: "Change a channel; what no option names stays, an empty value ('') removes what was there" / "修改渠道；未给出的选项保持不变，空值（''）表示清除";
        channels_enable: "Switch a channel on" / "启用渠道";
        channels_disable: "Switch a channel off: it takes no calls" / "停用渠道，不再接收调用";
        channels_remove: "Remove a channel with its keys; its name stays in the usage log" / "删除渠道及其密钥；用量日志保留其名称";
        channels_models: "List the models that a channel offers, or that its upstream has" / "列出渠道提供的模型，或上游拥有的模型";
        channel_name: "The channel's name" / "渠道名称";
        channel_group: "A group that may use it; may be repeated" / "可使用此渠道的分组；可重复";
        channel_enabled: "Whether it takes calls [default: true]" / "是否接收调用 [默认值：true]";
        channel_model: "An upstream model to offer under its own name; may be repeated; replaces the list" / "以原名提供的上游模型；可重复；会替换整个列表";
        models_file: "A JSON list of models with what is known of them, as the admin API takes it; replaces the list" / "JSON 模型列表及其已知信息，格式与管理 API 相同；会替换整个列表";
        add_model: "An upstream model to offer beside the others; may be repeated" / "追加提供的上游模型；可重复";
        remove_model: "A model that is no longer offered; may be repeated" / "不再提供的模型；可重复";
        redirect: "A public name and the upstream model behind it; may be repeated; replaces the list" / "公开名称及其对应的上游模型；可重复；会替换整个列表";
        declared_limit: "What the upstream allows: AMOUNT [WHAT][/WINDOW] [per WHOM] [models=A,B] [insist], such as '40 requests/1m per key', '1000/day@Asia/Shanghai per group models=*:free' or '4 at once per key'; may be repeated; replaces the list" / "上游允许的限额：数量 [计量对象][/窗口] [per 适用对象] [models=A,B] [insist]，例如 '40 requests/1m per key'、'1000/day@Asia/Shanghai per group models=*:free' 或 '4 at once per key'；可重复；会替换整个列表";
        channel_fix: "Switch a fix of requests on or off for this channel, such as cache-control=on; may be repeated; replaces the list" / "为该渠道开启或关闭一项请求修正，例如 cache-control=on；可重复；会替换整个列表";
        response_cache: "How many seconds the upstream shall keep answers for equal requests (OpenRouter only); empty: only as clients ask" / "上游缓存相同请求的响应多少秒（仅限 OpenRouter）；留空则仅按客户端的要求";
        no_limits: "Declare no limits any more" / "清除所有已声明的限额";
        header: "A header for every upstream request; a secret value as env:NAME or file:PATH; may be repeated" / "附加到每个上游请求的请求头；机密值写成 env:NAME 或 file:PATH；可重复";
        remove_header: "A header that is no longer added; may be repeated" / "不再附加的请求头；可重复";
        proxy: "Outbound proxy: http://, https://, socks5:// or socks5h://; with a password as env:NAME or file:PATH" / "出站代理：http://、https://、socks5:// 或 socks5h://；带密码时写成 env:NAME 或 file:PATH";
        provider: "The provider whose rules hold for it, such as groq; empty: the one that the base URL belongs to, else generic [default: empty]" / "适用其规则的服务商，例如 groq；留空则按接口地址判断，无法判断时为 generic [默认值：空]";
        channel_endpoint: "An endpoint that the upstream serves, such as images or speech; may be repeated [default: what its provider is known to serve]" / "上游支持的接口，例如 images 或 speech；可重复指定 [默认值：该服务商已知支持的接口]";
        plan: "The provider's plan that limits depend on, such as free or credits of openrouter; empty: the provider's usual one [default: empty]" / "限额所依据的服务商套餐，例如 openrouter 的 free 或 credits；留空则为该服务商的常用套餐 [默认值：空]";
        protocol: "The protocol that it speaks: openai [default: openai]" / "使用的协议：openai [默认值：openai]";
        connect_ms: "Limit for connecting, in milliseconds; else the server's" / "连接时限（毫秒）；未设置时用服务器的设置";
        first_byte_ms: "Limit for the first content, in milliseconds; else the server's" / "首个内容时限（毫秒）；未设置时用服务器的设置";
        idle_ms: "Limit for a pause, in milliseconds; else the server's" / "数据间隔时限（毫秒）；未设置时用服务器的设置";
        fetch: "Ask the upstream for its list" / "向上游查询模型列表";
        fetch_apply: "Offer everything that the upstream lists; what is known of models that were there stays" / "提供上游列出的所有模型；已有模型的信息会保留";

        keys: "Look after keys, the upstreams' credentials: list (the default), add, edit, switch, test" / "管理密钥（上游凭据）：列出（默认）、添加、修改、启停、测试";
        keys_list: "List keys with their state; their values are never shown" / "列出密钥及其状态；密钥内容不会显示";
        keys_of_channel: "Only the keys of this channel" / "只列出此渠道的密钥";
        keys_add: "Add keys to a channel: typed without an echo, from stdin or from a file, in any of the shapes that the page takes" / "向渠道添加密钥：无回显输入、标准输入或文件，支持页面接受的所有格式";
        keys_file: "Read the keys from this file; - is stdin" / "从此文件读取密钥；- 表示标准输入";
        keys_edit: "Change a key's label, quota group, limits or budget; an empty value ('') removes it" / "修改密钥的标签、额度组、限额或预算；空值（''）表示清除";
        keys_enable: "Switch a key on" / "启用密钥";
        keys_disable: "Switch a key off: it takes no calls" / "停用密钥，不再接收调用";
        keys_remove: "Remove a key: its secret is erased, its label stays in the usage log" / "移除密钥：清除其内容，用量日志保留其标签";
        keys_check: "Test a key: model list, the provider's word on it, a short answer, a short stream; may cost a few tokens. Without ID: find out as cheaply as possible which keys are valid" / "测试密钥：模型列表、服务商的答复、一次简短回答和一次简短流式回答，可能消耗少量 Token。省略 ID：以最小代价确认哪些密钥有效";
        keys_retry: "End what keeps a key from calls: its own rests, its group's and its channel's" / "结束使密钥无法接收调用的休息：密钥自身、额度组和渠道的休息";
        key_id: "The key's id, as `onepool keys` shows it" / "密钥编号，见 `onepool keys`";
        key_label: "A name for it; several keys are numbered" / "标签；多个密钥会自动编号";

        chains: "Look after chains, virtual models made by hand: list (the default), show, add, edit, switch, remove" / "管理回退链（自定的虚拟模型）：列出（默认）、查看、添加、修改、启停、删除";
        chains_list: "List all chains" / "列出所有回退链";
        chains_show: "Show a chain, and where its calls go now" / "查看回退链及其当前的调用顺序";
        chains_add: "Add a chain" / "添加回退链";
        chains_edit: "Change a chain; what no option names stays" / "修改回退链；未给出的选项保持不变";
        chains_enable: "Switch a chain on" / "启用回退链";
        chains_disable: "Switch a chain off: nobody can ask for it" / "停用回退链，其名称无法再被请求";
        chains_remove: "Remove a chain; chains that have it as a step skip that step" / "删除回退链；以它为步骤的回退链会跳过该步骤";
        chain_name: "The chain's name" / "回退链名称";
        chain_new_name: "The model name that clients ask for; unique among chains, letter case aside" / "客户端请求时使用的模型名称；在回退链中不区分大小写，不可重复";
        chain_step: "A model, and how many milliseconds a call waits for it before the next one is looked at [default: 2000]; 0: not at all, never: as long as it may; may be repeated; replaces the list" / "模型，以及调用等待多少毫秒后考虑下一个 [默认值：2000]；0 表示不等待，never 表示一直等；可重复；会替换整个列表";
        chain_add_step: "A step to add at the end, written in the same way; may be repeated" / "追加到末尾的步骤，写法相同；可重复";
        chain_remove_step: "The model of a step to remove; may be repeated" / "要移除的步骤的模型；可重复";
        chain_enabled: "Whether it can be asked for [default: true]" / "是否可被请求 [默认值：true]";

        tokens: "Look after tokens, what clients present: list (the default), show, create, edit, replace, remove" / "管理令牌（客户端凭据）：列出（默认）、查看、创建、修改、更换、删除";
        tokens_list: "List all tokens with what they have spent" / "列出所有令牌及已用额度";
        tokens_show: "Show a token and its replaced values that still work" / "查看令牌及仍然有效的旧值";
        tokens_create: "Make a token and print its value, alone on stdout" / "创建令牌，并在标准输出单独打印令牌值";
        tokens_edit: "Change a token; what no option names stays, an empty value ('') removes what was there" / "修改令牌；未给出的选项保持不变，空值（''）表示清除";
        tokens_enable: "Switch a token on" / "启用令牌";
        tokens_disable: "Switch a token off: calls with it are refused" / "停用令牌，使用它的调用会被拒绝";
        tokens_remove: "Remove a token: its value stops working, its name stays in the usage log" / "删除令牌：令牌值立即失效，用量日志保留其名称";
        tokens_replace: "Give a token a new value and print it, alone on stdout" / "为令牌更换新值，并在标准输出单独打印";
        tokens_end_previous: "End the replaced values of a token that still work" / "使令牌仍然有效的旧值立即失效";
        tokens_reveal: "Print a token's value, alone on stdout" / "在标准输出单独打印令牌值";
        token_name: "The token's name" / "令牌名称";
        token_model: "A model that it may ask for, or a beginning such as 'gpt-*'; may be repeated; none: all" / "可请求的模型，或前缀如 'gpt-*'；可重复；不设置表示全部";
        token_group: "A channel group that it may use; may be repeated; none: all" / "可使用的渠道分组；可重复；不设置表示全部";
        cidr: "An address or network that its clients may come from; may be repeated; none: all" / "允许的客户端地址或网段；可重复；不设置表示全部";
        expires_at: "When it ends: a length from now such as 90d, or a time such as 2027-01-31T18:00; none: never" / "到期时间：从现在起的时长（如 90d）或时间（如 2027-01-31T18:00）；不设置表示永不过期";
        quota: "How much it may spend: dollars such as 2.50, else a whole number; none: unlimited" / "额度：美元金额（如 2.50），其他单位为整数；不设置表示不限";
        quota_reset: "When the quota starts anew [default: never]" / "额度重置周期 [默认值：never]";
        budgets: "Show every budget of tokens, channels and keys, and what is spent of it" / "显示令牌、渠道和密钥的所有预算及其花费";
        budget: "How much its calls may spend: dollars such as 2.50, else a whole number; '' removes the budget" / "调用最多可花费多少：美元金额（如 2.50），其他单位为整数；'' 表示删除预算";
        budget_unit: "What the budget counts" / "预算单位";
        budget_reset: "When the budget starts anew [default: never]" / "预算重置周期 [默认值：never]";
        budget_warn_at: "At which parts of it to warn, in percent [default: 80, 95]; '' means at none" / "预警点，百分比 [默认值：80, 95]；'' 表示不预警";
        budget_at_limit: "What happens once it is used up [default: stop]" / "用完后的处理 [默认值：stop]";
        requests_per_minute: "How many requests it may make in any 60 seconds; none: unlimited" / "任意 60 秒内的请求数上限；不设置表示不限";
        token_weight: "Its share when calls of several tokens wait for the same keys, 1 to 100 [default: 1]" / "多个令牌的调用等待相同密钥时所占的份额，1 到 100 [默认值：1]";
        profile: "How its client reads errors [default: generic]" / "客户端类型，决定错误的返回方式 [默认值：generic]";
        value_file: "Take over the value in this file, 32 to 128 characters; - is stdin; else one is generated" / "沿用此文件中的值，32 到 128 个字符；- 表示标准输入；不设置则自动生成";
        grace: "How long the present value goes on working, such as 24h [default: it ends at once]" / "现有值继续有效的时间，例如 24h [默认：立即失效]";

        usage: "Show usage: sums over a period (the default), or single calls" / "显示用量：一段时间的汇总（默认）或单次调用";
        usage_log: "List single calls, the newest first" / "列出单次调用，最新在前";
        usage_report: "Sum calls up over a period" / "汇总一段时间的调用";
        since: "Start: a length before now such as 24h or 7d, a day, a time, or `all`" / "开始：距今时长（如 24h、7d）、日期、时间，或 `all`";
        until: "End: the same; a day is included [default: now]" / "结束：格式同上；日期包含当天 [默认：现在]";
        period: "A period of the usage page: 1h, today, yesterday, 24h, 7d, 30d, month, 90d, 365d or all" / "用量页面的时间范围：1h、today、yesterday、24h、7d、30d、month、90d、365d 或 all";
        by: "What has a line of its own: token, channel, key, model, upstream, endpoint, client, status, hour, day, week or month [default: token]" / "按什么分行：token、channel、key、model、upstream、endpoint、client、status、hour、day、week 或 month [默认值：token]";
        metric: "The number that the largest stand first by, and that --compare compares, such as cost, tokens or first_token_p95 [default: requests]" / "排序和 --compare 对比所用的指标，例如 cost、tokens 或 first_token_p95 [默认值：requests]";
        compare: "Compare with the period before" / "与上一时段对比";
        of_token: "Only calls of this token" / "只看此令牌的调用";
        of_channel: "Only calls that this channel served, or tried last" / "只看由此渠道处理（或最后尝试）的调用";
        of_key: "Only calls that this key served, or tried last" / "只看由此密钥处理（或最后尝试）的调用";
        streaming: "Only streams, or only others" / "只看流式，或只看非流式";
        result: "Only calls that ended so: ok, timeout, …; `failed` is all but ok" / "只看此结果的调用：ok、timeout 等；`failed` 表示除 ok 外的全部";
        limit: "The most lines" / "最多行数";
        csv: "Write CSV" / "输出 CSV";

        openclaw: "Set OpenClaw up" / "配置 OpenClaw";
        openclaw_export: "Print the part of openclaw.json that makes OpenClaw use this server" / "输出让 OpenClaw 使用本服务的 openclaw.json 片段";
        openclaw_token: "The token [default: the first one for OpenClaw, else the first one]" / "令牌 [默认：第一个 OpenClaw 类型的令牌，否则第一个令牌]";
        openclaw_url: "Address of this server as OpenClaw reaches it [default: PUBLIC_URL]" / "OpenClaw 访问本服务的地址 [默认：PUBLIC_URL]";
        openclaw_patch: "For `openclaw config patch --stdin`: takes back what the last export said and this one does not" / "供 `openclaw config patch --stdin` 使用：撤回上次导出中有而本次没有的内容";
        openclaw_preview: "The next export does not count this one as given to OpenClaw" / "本次输出不计为已交给 OpenClaw 的导出";
        openclaw_media: "The part for embeddings, speech, transcription, images and video, for OpenClaw 2026.9 and later" / "导出媒体部分：嵌入、语音、转写、图片与视频，适用于 OpenClaw 2026.9 及以后版本";
        openclaw_provider: "The provider’s id in OpenClaw [default: onepool]" / "在 OpenClaw 中的服务商 ID [默认：onepool]";
        openclaw_primary: "The primary model; none leaves OpenClaw’s choice alone [default: the first model]" / "主模型；none 表示保留 OpenClaw 现有的选择 [默认：第一个模型]";
        openclaw_fallback(most: usize): "A model to try after the primary one; may be repeated [default: the models after it, at most {most}]" / "主模型之后尝试的模型；可重复 [默认：其后的模型，最多 {most} 个]";
        openclaw_alias: "A short name for /model; may be repeated" / "用于 /model 的别名；可重复";
        openclaw_image_model: "The model that describes images for others; first: the first one that sees them [default: none, OpenClaw’s choice stays]" / "替其他模型描述图片的模型；first 表示第一个能读图的 [默认：none，保留 OpenClaw 的选择]";
        openclaw_pdf_model: "The model that reads PDF files, likewise" / "读取 PDF 文件的模型，同上";
        openclaw_utility_model: "The model for small tasks such as titles [default: none]" / "用于标题等小任务的模型 [默认：none]";
        openclaw_embeddings: "With --media: the model for embeddings [default: the first one that is known to serve them; so for the next ones]" / "配合 --media：嵌入模型 [默认：第一个已知支持的模型；以下各项同理]";
        openclaw_speech: "With --media: the model that speaks" / "配合 --media：语音合成模型";
        openclaw_voice: "With --media: its voice" / "配合 --media：音色";
        openclaw_transcription: "With --media: the model that transcribes" / "配合 --media：转写模型";
        openclaw_images: "With --media: the model that makes images" / "配合 --media：图片生成模型";
        openclaw_video: "With --media: the model that makes videos" / "配合 --media：视频生成模型";
        openclaw_variable: "The environment variable for the token’s value [default: ONEPOOL_API_KEY]" / "存放令牌值的环境变量 [默认：ONEPOOL_API_KEY]";
        openclaw_model: "A model to offer, the primary one first; may be repeated; none: all that the token may use" / "要提供的模型，第一个为主模型；可重复；不设置表示令牌可用的全部模型";
        with_token: "Write the token's value into the file, in place of a reference to ONEPOOL_API_KEY" / "将令牌值直接写入文件，而不是引用 ONEPOOL_API_KEY";

        check_config: "Show every setting and its origin, and whether a server could start with them" / "显示每项设置及其来源，并检查服务能否以此启动";
        completions: "Print the script that lets a shell complete commands and options" / "输出 Shell 自动补全脚本";
        shell: "The shell" / "Shell 名称";
    }
}
