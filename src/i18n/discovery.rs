//! What upstreams list, and which keys they take.

use super::texts;

texts! {
    /// The page of models, discovery, and what is proved about keys, on pages and in commands.
    Discovery {
        // Keys.
        verdict_callable: "Callable: a call with this key was answered." / "可调用：使用此密钥的调用已得到回答。";
        verdict_known: "Valid: the provider knows this key. No call with it was answered in this test." / "有效：服务商确认此密钥。本次测试中没有调用得到回答。";
        verdict_invalid: "Invalid: the provider refuses this key." / "无效：服务商拒绝此密钥。";
        verdict_not_known: "Not known: the answers say nothing about the key. A limit, a model that is gated or gone, or a fault on the way may be the cause." / "未知：这些响应无法说明密钥是否有效。可能是因为限额、模型需要授权或已下线，或途中出错。";
        account(id: &str): "The provider's account: {id}." / "服务商账户：{id}。";
        proof_only: "Check the key only" / "仅检查密钥";
        proof_hint: "“Check the key only” asks as cheaply as possible: the provider's own word on the key where there is one, else one short completion. A list of models proves nothing, since many are public. Calls of a test count against the key's limits, and none is made that a limit forbids." / "“仅检查密钥”以最小代价确认：服务商提供密钥查询时直接查询，否则发送一次简短补全。模型列表不能证明密钥有效，因为许多列表是公开的。测试中的调用计入密钥的限额，限额不允许时不会发送。";
        fresh: "Check again also what was proved within the last day" / "一天内已确认的密钥也重新检查";
        no_keys: "No key is switched on." / "没有启用的密钥。";

        // The page.
        title: "Models" / "模型";
        intro: "Every model that the upstreams list. Listed does not mean callable: that is known only of models that answered a call." / "各上游列出的全部模型。列出不代表可调用：只有回答过调用的模型才算已确认。";
        search: "Search" / "搜索";
        channel: "Channel" / "渠道";
        show: "Show" / "显示";
        show_listed: "All that are listed" / "全部已列出的模型";
        show_free: "Free" / "免费";
        show_callable: "Callable" / "可调用";
        show_free_callable: "Free and callable" / "免费且可调用";
        show_new: "Not offered yet" / "尚未提供的模型";
        show_gone: "Gone" / "已下线";
        count(count: usize): "{count} models" / "{count} 个模型";
        page_of(page: usize, pages: usize): "Page {page} of {pages}" / "第 {page} 页，共 {pages} 页";
        previous: "Previous" / "上一页";
        next: "Next" / "下一页";
        model: "Model" / "模型";
        output_limit: "Output limit" / "输出上限";
        abilities: "Abilities" / "能力";
        seen: "Seen" / "发现时间";
        free: "free" / "免费";
        paid: "paid" / "付费";
        callable: "callable" / "可调用";
        refused: "refused" / "被拒绝";
        listed: "listed" / "已列出";
        offered: "offered" / "已提供";
        gone_since(at: &str): "gone since {at}" / "{at} 起下线";
        first_seen(at: &str): "since {at}" / "自 {at}";
        tools: "tools" / "工具";
        reasoning: "reasoning" / "推理";
        images: "images" / "图像";
        audio: "audio" / "音频";
        video: "video" / "视频";
        files: "files" / "文件";
        take_over: "Offer the selected models" / "提供所选模型";
        taken_over(count: usize): "{count} models are offered now." / "现已提供 {count} 个模型。";
        nothing_selected: "No model was selected that could be offered." / "没有选中可提供的模型。";
        too_many(most: usize): "Not all were taken over: a channel offers at most {most} models." / "未全部采用：一个渠道最多提供 {most} 个模型。";
        none_yet: "No upstream was asked for its models yet. Ask now, or wait for the next round." / "尚未查询任何上游的模型列表。可立即查询，或等待下一轮自动刷新。";
        none_found: "No model fits." / "没有符合条件的模型。";
        refresh: "Ask the upstreams now" / "立即查询上游";
        asking_now: "The upstreams are being asked; this page shows how far it has come." / "正在查询上游，本页会显示进度。";
        asking(done: usize, total: usize): "Asking the upstreams: {done} of {total} have answered." / "正在查询上游：{total} 个中已有 {done} 个返回。";
        refresh_one: "Ask for models" / "查询模型";
        refreshed(channels: usize, models: usize): "Asked {channels} channels; they list {models} models." / "已查询 {channels} 个渠道，共列出 {models} 个模型。";
        refresh_failed(names: &str): "No list came from: {names}." / "以下渠道未返回列表：{names}。";
        channels: "Channels" / "渠道";
        asked_at: "Asked" / "查询时间";
        never_asked: "never" / "从未";
        fault: "Problem" / "问题";
        incomplete: "incomplete: what it lacks is kept" / "不完整：缺少的模型予以保留";

        // Changes.
        changes: "Changes" / "变化";
        changes_since(at: &str): "Changes since {at}" / "{at} 以来的变化";
        changes_all: "Changes so far" / "迄今的变化";
        no_changes: "Nothing has changed since you looked last." / "自上次查看以来没有变化。";
        more_changes(count: usize): "{count} more; the admin API and the command line list them." / "另有 {count} 项；可通过管理 API 或命令行查看。";
        seen_all: "I have seen these" / "标记为已查看";
        appeared: "appeared" / "新增";
        changed: "changed" / "变更";
        vanished: "gone" / "下线";
        new_models(count: usize): "{count} models of the last list are not offered here" / "最近的列表中有 {count} 个模型尚未在此提供";
        choose: "Choose" / "选择";
        changed_counts(appeared: usize, changed: usize, vanished: usize): "{appeared} appeared, {changed} changed, {vanished} gone" / "新增 {appeared} 个，变更 {changed} 个，下线 {vanished} 个";

        // Commands.
        about_models: "Lists the models of all upstreams, as they were listed last" / "列出所有上游的模型（按最近一次列表）";
        about_refresh: "Asks the upstreams which models they have" / "查询上游有哪些模型";
        about_channel: "Ask this channel only; left out: every channel that is switched on" / "只查询此渠道；省略则查询全部已启用的渠道";
        about_free: "Only models that cost nothing" / "只列出免费模型";
        about_callable: "Only models that answered a call" / "只列出回答过调用的模型";
        about_new: "Only models that their channel does not offer" / "只列出渠道尚未提供的模型";
        about_gone: "Models that are listed no more" / "列出已下线的模型";
        about_search: "Only models whose name contains this" / "只列出名称包含此文字的模型";
        about_of_channel: "Only models of this channel" / "只列出此渠道的模型";
        about_changes: "What changed, the latest first, in place of the models" / "改为列出变化，最新的在前";
        about_limit: "At most so many lines (100 by default)" / "最多列出的行数（默认 100）";
        limit_wrong: "Give a whole number from 1 to 100000." / "请填写 1 到 100000 之间的整数。";
        shown_of(shown: usize, total: usize): "{shown} of {total}" / "共 {total} 个，显示 {shown} 个";
        no_models: "No model is known that fits. `onepool refresh` asks the upstreams." / "没有已知的符合条件的模型。可用 `onepool refresh` 查询上游。";
        nothing_changed: "Nothing has changed." / "没有变化。";
        change: "Change" / "变化";
        details: "Details" / "详情";
        first_list: "first list" / "首次列表";

        // Presets.
        base_url_missing: "Give a base URL, or choose a provider that has one." / "请填写接口地址，或选择带有地址的服务商。";
        base_url_of_account(url: &str): "This provider's base URL holds your account: complete {url}." / "此服务商的接口地址包含您的账户，请补全 {url}。";
        provider_by_key(name: &str): "This looks like a key of {name}, which is chosen now. Check it and send the form again." / "这似乎是 {name} 的密钥，已为您选择该服务商。请确认后重新提交。";
        provider_not_told: "Choose a provider or give a base URL: the key does not tell where it belongs." / "请选择服务商或填写接口地址：无法从密钥判断其归属。";
        provider_ambiguous(names: &str): "Choose a provider: keys like this belong to {names}." / "请选择服务商：此类密钥可能属于 {names}。";
        preset_hint: "A provider and a key are enough; many keys tell the provider by themselves. Another server needs its address below." / "选择服务商并填写密钥即可；许多密钥本身就能判断服务商。其他服务器请在下方填写地址。";
        terms: "Terms of use" / "使用条款";
        get_key(name: &str): "Get a key of {name}" / "获取 {name} 的密钥";
        about_key: "A key to add: env:NAME, file:PATH, or - to read it from stdin; may be given several times" / "要添加的密钥：env:变量名、file:路径，或 - 表示从标准输入读取；可多次给出";
        key_on_command_line: "Every user of this machine can read a command line. Give env:NAME, file:PATH, or - to read it from stdin." / "本机所有用户都能看到命令行。请改用 env:变量名、file:路径，或用 - 从标准输入读取。";
    }
}
