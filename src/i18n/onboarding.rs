//! The first steps on the command line, where keys belong, and whose they are.

use super::texts;

texts! {
    /// The first steps on the command line, where keys belong, and whose they are; the accounts on pages as well.
    Onboarding {
        // Accounts.
        share_account(keys: usize, group: &str, provider: &str): "{keys} keys belong to one account ({group}). More keys of one account add nothing: {provider} counts per account." / "{keys} 个密钥属于同一账户（{group}）。同一账户的更多密钥不会增加额度：{provider} 按账户计量。";
        more_accounts(count: usize): "{count} more accounts have several keys." / "另有 {count} 个账户拥有多个密钥。";
        all_share(provider: &str): "More keys add nothing: {provider} counts all calls from this machine together." / "更多密钥不会增加额度：{provider} 将本机的所有调用合并计量。";
        undecided(keys: usize, provider: &str): "Of {keys} keys it is not known whose they are. {provider} counts per account, so keys of one account add nothing: give them the same quota group." / "有 {keys} 个密钥不知道属于哪个账户。{provider} 按账户计量，同一账户的多个密钥不会增加额度：请为它们填写相同的额度组。";
        account_told(account: &str): "account {account}" / "账户 {account}";
        group_told(group: &str): "{group} (told by the provider)" / "{group}（服务商告知）";
        group_told_hint: "The provider named the account of this key, so the group was set. Change it or empty it: your word counts from then on." / "服务商告知了此密钥所属的账户，因此自动设置了额度组。您可以修改或清空它，此后以您的设置为准。";
        joined_account(group: &str): ", in the quota group {group}, which the provider told" / "，已归入服务商告知的额度组 {group}";
        group_joined(group: &str): "The provider told its account; it is in the quota group {group} now." / "服务商告知了其账户，现已归入额度组 {group}。";
        refused_new(keys: usize): "{keys} of them are refused by the provider: look at their page." / "其中 {keys} 个被服务商拒绝，请查看密钥页面。";
        added_refused: "added, but the provider refuses it" / "已添加，但服务商拒绝此密钥";
        account_field: "Account (quota group)" / "账户（额度组）";
        account_hint: "Whose account the keys belong to; keys of one account share a group, and more of them add nothing. Leave it empty for keys of several accounts, or where the provider tells it." / "密钥属于哪个账户；同一账户的密钥填写相同的组，增加密钥不会增加额度。如果密钥属于不同账户，或服务商会告知账户，请留空。";

        // Where keys belong.
        about_key_words: "Keys: env:NAME, file:PATH, - for stdin, or a key itself, which then stands in the shell's history and can be read by every user of the machine. Without one: stdin, or typed without an echo. A first word that is a channel's name names the channel" / "密钥：env:变量名、file:路径、- 表示标准输入，或密钥本身（会留在 shell 历史中，且本机所有用户可见）。省略则从标准输入读取，或无回显输入。若第一个词是渠道名称，则表示该渠道";
        about_to_channel: "The channel that takes them; left out: the one of the keys' provider, which is made if there is none" / "接收密钥的渠道；省略则为密钥所属服务商的渠道，没有时自动创建";
        about_to_provider: "The provider whose keys they are; left out: told by each key's form or the variable's name" / "密钥所属的服务商；省略则根据密钥的格式或变量名判断";
        key_prompt: "Key (not shown):" / "密钥（不显示）：";
        key_in_history: "A key was given on the command line: it stands in the shell's history now. Next time give env:NAME, file:PATH or -, or no key at all to be asked for it." / "密钥出现在命令行中，现已留在 shell 历史里。下次请使用 env:变量名、file:路径或 -，或不写密钥，程序会提示输入。";
        not_recognised: "its form does not tell the provider; give --provider ID or --channel NAME" / "无法从格式判断服务商；请指定 --provider 或 --channel";
        recognised_several(names: &str, ids: &str): "keys like this belong to {names}; give --provider with one of: {ids}" / "此类密钥可能属于 {names}；请用 --provider 指定其中之一：{ids}";
        channel_gone: "the channel is not there any more" / "该渠道已不存在";
        channel_first(why: &str, example: &str): "{why} Make the channel first: {example} --base-url URL" / "{why} 请先创建渠道：{example} --base-url 地址";
        channel_new(name: &str): "{name} (new)" / "{name}（新建）";
        offers_all(channel: &str, models: usize): "{channel} offers {models} models." / "{channel} 提供 {models} 个模型。";
        offers_free(channel: &str, offered: usize, listed: usize): "{channel} offers the {offered} models that cost nothing, of {listed} that are listed." / "{channel} 提供列表中 {listed} 个模型里免费的 {offered} 个。";
        offers_nothing(channel: &str, why: &str): "{channel} gave no list of models: {why}" / "{channel} 未返回模型列表：{why}";
        whose_key(last4: &str): "Whose key is …{last4}?" / "密钥 …{last4} 属于哪个服务商？";
        which_account(last4: &str, provider: &str): "{provider} counts per account. Which account does …{last4} belong to? A name of your choice, the same for all keys of one account (Enter: not known):" / "{provider} 按账户计量。密钥 …{last4} 属于哪个账户？请自拟名称，同一账户的密钥使用相同名称（直接回车表示不清楚）：";
        choose_again: "Give a number or a word of the list, or nothing." / "请输入列表中的编号或名称，或直接回车跳过。";

        // setup and auto.
        about_setup: "Take the first steps: asks for keys, checks them, lists models, makes a token and OpenClaw's configuration; can be run again" / "完成初始设置：询问密钥、检查密钥、查询模型、创建令牌并生成 OpenClaw 配置；可重复运行";
        about_auto: "The same without questions: keys from a file, stdin, or variables such as OPENROUTER_API_KEY; can be run again" / "同上但不提问：从文件、标准输入或 OPENROUTER_API_KEY 等环境变量读取密钥；可重复运行";
        about_keys_file: "Read keys from this file, such as .env lines; - is stdin; left out: from the environment" / "从此文件读取密钥，例如 .env 格式；- 表示标准输入；省略则读取环境变量";
        about_dry_run: "Only say where each key would go; ask nobody and change nothing" / "只显示每个密钥的去向；不联网，不做任何更改";
        about_all_models: "Offer everything that is listed, also what costs something" / "提供列表中的全部模型，包括收费模型";
        about_token: "The token for clients; made if there is none of this name [default: the one that is there, else openclaw]" / "供客户端使用的令牌；没有此名称的令牌时自动创建 [默认值：已有的令牌，没有则为 openclaw]";
        about_profile: "Whose way to read answers a token that is made fits [default: openclaw]" / "新建令牌适配哪种客户端 [默认值：openclaw]";
        folder_made(path: &str): "Made the data folder {path}." / "已创建数据目录 {path}。";
        folder_used(path: &str): "The data folder is {path}." / "数据目录为 {path}。";
        keys_intro: "Paste keys one after another; they are not shown. Lines of a .env file do too. Enter alone goes on." / "请逐个粘贴密钥，输入内容不会显示，也可粘贴 .env 文件的行。直接回车进入下一步。";
        first_key: "Key:" / "密钥：";
        next_key: "Next key (Enter to go on):" / "下一个密钥（直接回车继续）：";
        keys_taken(count: usize): "{count} keys to add." / "共 {count} 个密钥待添加。";
        key_known(last4: &str): "…{last4} is there already." / "密钥 …{last4} 已存在。";
        key_recognised(last4: &str, provider: &str): "…{last4} is a key of {provider}." / "密钥 …{last4} 属于 {provider}。";
        key_left_out(last4: &str): "…{last4} was left out." / "已跳过密钥 …{last4}。";
        nothing_to_set_up: "there is no channel yet and no key was given; a key of OpenRouter or NVIDIA is a good first one" / "还没有渠道，也没有给出密钥；可先准备一个 OpenRouter 或 NVIDIA 的密钥";
        no_key_found(names: &str): "no key was found; give --keys FILE, or set one of these variables: {names}" / "未找到密钥；请使用 --keys 文件，或设置以下环境变量之一：{names}";
        step_models: "Asking for models" / "查询模型";
        step_keys: "Checking keys" / "检查密钥";
        step_chains: "Ranking models" / "模型排名";
        switched_off(id: &str): "It was switched off; `onepool keys enable {id}` switches it on." / "已停用；可用 `onepool keys enable {id}` 启用。";
        more_steps(count: usize): " → and {count} more" / " → 另有 {count} 个";
        token_there(name: &str): "Token “{name}” is there; `onepool tokens reveal` prints its value." / "令牌“{name}”已存在；可用 `onepool tokens reveal` 查看其值。";
        openclaw_part: "For ~/.openclaw/openclaw.json (`onepool openclaw export` prints it again):" / "用于 ~/.openclaw/openclaw.json（可用 `onepool openclaw export` 再次输出）：";
        clients_use(url: &str): "Other clients use {url} as base URL and the token as API key." / "其他客户端使用 {url} 作为接口地址，使用令牌作为 API 密钥。";
        server_runs_at(address: &str): "A server runs on {address}; it follows within a second." / "服务正在 {address} 运行，会在一秒内生效。";
        server_runs: "A server runs on this data folder; it follows within a second." / "此数据目录的服务正在运行，会在一秒内生效。";
        start_server(command: &str): "Start the server: {command}\nIts first start prints a link to the pages, where the first visitor makes an account." / "启动服务：{command}\n首次启动会输出页面链接，打开后即可创建管理账户。";
        dry_run_end: "Nothing was changed." / "未做任何更改。";

        // The state.
        health: "Health" / "健康状况";
        healthy: "good" / "良好";
        refused_keys(count: usize): "{count} refused by the provider" / "{count} 个被服务商拒绝";
        key_counts(all: usize, good: usize, resting: usize, refused: usize, off: usize): "{all}: {good} good, {resting} resting, {refused} refused, {off} off" / "{all} 个：可用 {good}，休息 {resting}，被拒绝 {refused}，停用 {off}";
        idle_channels(names: &str): "no calls by: {names}" / "无法接收调用：{names}";
        nothing_serves: "no channel takes calls" / "没有渠道可接收调用";
        server_dead: "the server does not answer" / "服务没有应答";
        rows_lost: "the journal cannot be read" / "待写入日志无法读取";
        files_wrong: "files of providers are wrong" / "服务商文件有误";
        minute_left: "This minute" / "本分钟剩余";
        day_left: "Next 24 hours" / "未来 24 小时";
        calls_left: "Calls left" / "剩余调用";
        good_keys: "Good keys" / "可用密钥";
        more_channels(more: usize): "and {more} more; --json has all" / "另有 {more} 个；可用 --json 查看全部";
        quota_hint(freshness: &str): "Calls of usual size that the known limits leave, of what they allow at most. {freshness}" / "按常规大小估算的剩余调用数及上限（仅按已知限额）。{freshness}";
        wizard_rest: "Name, address, models" / "名称、地址、模型";
        more_fields: "Everything else: name, address, models, network" / "其他选项：名称、地址、模型、网络";
        sign_up(name: &str): "Open an account at {name}" / "注册 {name} 账户";
        status_label: "What it gives" / "提供方式";
        status_free: "free, within limits that come back" / "免费，限额会恢复";
        status_gated: "free after a check of the person" / "通过身份验证后免费";
        status_uncertain: "perhaps free: reports differ" / "可能免费：说法不一";
        status_keyless: "free without an account" / "无需账户即可免费使用";
        status_credit: "a credit once, then paid" / "一次性赠送额度，之后收费";
        status_paid: "paid" / "收费";
        status_local: "a server of your own" / "自建服务";
        status_locked: "only for the vendor's own client" / "仅限厂商自己的客户端";
        status_retired: "switched off" / "已停止服务";
        status_unknown: "nothing is known about it" / "暂无信息";
        accounts_term: "Several accounts" / "多个账户";
        prompts_term: "Prompts" / "提示词";
        as_of(day: &str): "as of {day}" / "截至 {day}";
    }
}
