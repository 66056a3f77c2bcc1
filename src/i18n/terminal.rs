//! What commands print.

use super::texts;

texts! {
    /// What commands print: headings, outcomes, questions, and what is wrong with options.
    Terminal {
        id: "ID" / "编号";
        until: "Until" / "截止";
        resting: "Resting" / "休息中";
        paused: "Paused" / "已暂停";
        server_default: "the server's" / "服务器设置";
        upstream_model: "Upstream model" / "上游模型";
        connect_limit: "Limit for connecting" / "连接时限";
        first_byte_limit: "Limit for the first content" / "首个内容时限";
        idle_limit: "Limit for a pause" / "数据间隔时限";
        step: "Step" / "步骤";
        day: "Day" / "日期";
        sum: "All" / "合计";

        unknown_option(word: &str): "there is no option `{word}` here" / "此处没有选项 `{word}`";
        unknown_command(word: &str): "there is no command `{word}`" / "没有命令 `{word}`";
        word_too_many(word: &str): "`{word}` is a word too many" / "多余的内容 `{word}`";
        missing_argument(what: &str): "this is missing: {what}" / "缺少 {what}";
        not_together(option: &str, other: &str): "`{option}` and `{other}` do not go together" / "`{option}` 不能与 `{other}` 同时使用";
        given_twice(option: &str): "`{option}` is given twice" / "`{option}` 重复给出";
        value_refused(option: &str, value: &str): "`{option}` does not take `{value}`" / "`{option}` 不接受 `{value}`";
        value_not_one_of(option: &str, value: &str, known: &str): "`{option}` does not take `{value}`; give one of: {known}" / "`{option}` 不接受 `{value}`；请使用以下值之一：{known}";
        value_missing(option: &str): "`{option}` needs a value" / "`{option}` 需要一个值";
        perhaps_meant(word: &str): "; did you mean `{word}`?" / "；是否想用 `{word}`？";
        see_help(command: &str): " (`{command} --help` shows what there is)" / "（用 `{command} --help` 查看用法）";

        no_channels: "No channels yet: add one with `onepool channels add`." / "还没有渠道：请用 `onepool channels add` 添加。";
        no_keys: "No keys: add some with `onepool keys add CHANNEL`." / "没有密钥：请用 `onepool keys add 渠道` 添加。";
        no_chains: "No chains yet: add one with `onepool chains add`." / "还没有回退链：请用 `onepool chains add` 添加。";
        no_models: "No models: add some with `onepool channels models NAME --fetch --apply` or `channels edit --add-model`." / "没有模型：请用 `onepool channels models 名称 --fetch --apply` 或 `channels edit --add-model` 添加。";
        no_tokens: "No tokens yet: make one with `onepool tokens create NAME`." / "还没有令牌：请用 `onepool tokens create 名称` 创建。";
        no_such_channel(name: &str): "there is no channel “{name}”; `onepool channels` lists them" / "没有名为“{name}”的渠道；可用 `onepool channels` 查看";
        no_such_key(id: &str): "there is no key {id}; `onepool keys` lists their ids" / "没有编号为 {id} 的密钥；可用 `onepool keys` 查看编号";
        no_such_chain(name: &str): "there is no chain “{name}”; `onepool chains` lists them" / "没有名为“{name}”的回退链；可用 `onepool chains` 查看";
        no_such_step(name: &str): "the chain has no step “{name}”; `onepool chains show` lists them" / "回退链没有步骤“{name}”；可用 `onepool chains show` 查看";
        no_such_token(name: &str): "there is no token “{name}”; `onepool tokens` lists them" / "没有名为“{name}”的令牌；可用 `onepool tokens` 查看";

        channel_enabled(name: &str): "Channel “{name}” is on." / "渠道“{name}”已启用。";
        channel_disabled(name: &str): "Channel “{name}” is off." / "渠道“{name}”已停用。";
        channel_removed(name: &str): "Channel “{name}” was removed." / "渠道“{name}”已删除。";
        key_enabled(key: &str): "Key {key} is on." / "密钥 {key} 已启用。";
        key_disabled(key: &str): "Key {key} is off." / "密钥 {key} 已停用。";
        key_changed(key: &str): "Key {key} was saved." / "密钥 {key} 已保存。";
        key_removed(key: &str): "Key {key} was removed." / "密钥 {key} 已移除。";
        key_retried(key: &str): "The rests of key {key} are over; a running server uses it again within a second." / "密钥 {key} 的休息已结束；运行中的服务会在一秒内重新使用它。";
        chain_enabled(name: &str): "Chain “{name}” is on." / "回退链“{name}”已启用。";
        chain_disabled(name: &str): "Chain “{name}” is off." / "回退链“{name}”已停用。";
        chain_removed(name: &str): "Chain “{name}” was removed." / "回退链“{name}”已删除。";
        token_enabled(name: &str): "Token “{name}” is on." / "令牌“{name}”已启用。";
        token_disabled(name: &str): "Token “{name}” is off; a running server refuses it within a second." / "令牌“{name}”已停用；运行中的服务会在一秒内拒绝它。";
        token_removed(name: &str): "Token “{name}” was removed." / "令牌“{name}”已删除。";
        token_created(name: &str): "Token “{name}” was made. Its value:" / "令牌“{name}”已创建。令牌值：";
        token_replaced(name: &str): "Token “{name}” has a new value; the old one no longer works. The new value:" / "令牌“{name}”已更换，旧值已失效。新值：";
        token_replaced_until(name: &str, at: &str): "Token “{name}” has a new value; the old one works until {at}. The new value:" / "令牌“{name}”已更换，旧值有效至 {at}。新值：";
        previous_ended(count: u64): "Old values that were ended: {count}." / "已失效的旧值：{count} 个。";
        check_failed: "Some steps failed; the upstream's texts are above." / "部分步骤未通过，上游原文见上。";
        more_calls(limit: usize): "There are older calls; --limit shows more than {limit}, --until goes back." / "还有更早的调用；可用 --limit 显示超过 {limit} 条，或用 --until 向前查看。";
        url_guessed(url: &str): "No PUBLIC_URL: the file names {url}. Give another address with --url." / "未设置 PUBLIC_URL：文件中使用 {url}。可用 --url 指定其他地址。";
        model_not_for_token(model: &str, token: &str): "“{model}” is no model that the token “{token}” may use" / "令牌“{token}”不能使用模型“{model}”";

        ask_remove_channel(name: &str, keys: usize): "Remove channel “{name}” and erase its {keys} keys?" / "删除渠道“{name}”并清除其 {keys} 个密钥？";
        ask_other_host(name: &str): "This sends the keys or headers of channel “{name}” to another host or by way of another proxy. Go on?" / "此修改会把渠道“{name}”的密钥或请求头发送到另一个主机或经由另一个代理。是否继续？";
        ask_remove_key(key: &str, channel: &str): "Remove key {key} of channel “{channel}”? Its secret cannot be brought back." / "移除渠道“{channel}”的密钥 {key}？其内容无法恢复。";
        ask_remove_chain(name: &str): "Remove chain “{name}”? Calls for its name are refused, unless a channel has a model of this name." / "删除回退链“{name}”？此后对该名称的调用会被拒绝，除非渠道中有同名模型。";
        ask_remove_token(name: &str, calls: i64): "Remove token “{name}”? Its value stops working at once; requests in the last 7 days: {calls}." / "删除令牌“{name}”？令牌值立即失效；最近 7 天的请求数：{calls}。";
        ask_replace_token(name: &str): "Replace the value of token “{name}”? The present one stops working at once; --grace keeps it for a while." / "更换令牌“{name}”的值？现有值立即失效；可用 --grace 保留一段时间。";
        ask_end_previous(name: &str, count: usize): "End {count} old values of token “{name}” now?" / "立即使令牌“{name}”的 {count} 个旧值失效？";
        yes_or_no: "[y/N]" / "[y/N]";
        not_confirmed: "nothing was changed" / "未做任何更改";
        needs_yes(question: &str): "{question} There is no terminal to answer at: give --yes to go on" / "{question} 当前没有可供确认的终端：请使用 --yes 继续";
        key_prompt(channel: &str): "Key of {channel} (not shown):" / "{channel} 的密钥（不显示）：";
        too_long(megabytes: u64): "the text is longer than {megabytes} MB; give less at a time" / "内容超过 {megabytes} MB；请分批提供";

        not_there(name: &str): "“{name}” is not there; `onepool channels show` lists what is" / "“{name}”不存在；可用 `onepool channels show` 查看";
        no_such_variable(name: &str): "the environment has no {name}, or it is empty; set it" / "环境变量 {name} 不存在或为空；请先设置";
        header_shape: "write 'Name: value'" / "请写成 'Name: value'";
        redirect_shape: "write PUBLIC=UPSTREAM" / "请写成 公开名称=上游名称";
        secret_on_command_line: "every user of the machine can read a password on the command line; put the address into a variable or file and give env:NAME or file:PATH" / "本机所有用户都能看到命令行中的密码；请将地址放入环境变量或文件，并写成 env:NAME 或 file:PATH";
        length_shape: "give a length of time such as 30m, 24h or 7d" / "请使用时长，例如 30m、24h 或 7d";
        point_shape: "give a length from now such as 90d, or a time such as 2027-01-31T18:00" / "请使用从现在起的时长（如 90d）或时间（如 2027-01-31T18:00）";
        period_shape: "give a length before now such as 24h, a day such as 2026-05-01, or a time such as 2026-05-01T18:30" / "请使用距今时长（如 24h）、日期（如 2026-05-01）或时间（如 2026-05-01T18:30）";
        quota_unit_missing: "say what the amount counts: dollars, tokens or requests" / "请说明额度单位：dollars、tokens 或 requests";
        quota_amount_missing: "give the amount as well" / "请同时给出额度数值";
        too_many_steps(most: usize): "at most {most} steps can be told apart; choose a shorter period or a longer step" / "最多区分 {most} 个时段；请缩短时间范围，或换用更长的时段";

        version: "Version" / "版本";
        data_folder: "Data folder" / "数据目录";
        server: "Server" / "服务";
        server_stopped: "not running" / "未运行";
        server_running: "running, address unknown" / "运行中，地址未知";
        server_answers(address: &str): "running, answers on {address}" / "运行中，{address} 应答正常";
        server_silent(address: &str): "running, but does not answer on {address}" / "运行中，但 {address} 没有应答";
        schema: "Schema" / "结构版本";
        database_size: "Database" / "数据库";
        counts(all: usize, on: usize, working: usize): "{all} ({on} on, {working} available)" / "{all}（启用 {on}，可用 {working}）";
        last_hour: "Last hour" / "最近 1 小时";
        last_day: "Last 24 hours" / "最近 24 小时";
        calls(calls: &str, failed: &str): "{calls} calls, {failed} failed" / "调用 {calls} 次，失败 {failed} 次";
        journal: "Journal" / "待写入日志";
        journal_empty: "no row waits for the database" / "没有等待写入数据库的记录";
        journal_waiting(rows: u64, since: &str): "{rows} rows wait for the database, the oldest since {since}" / "{rows} 条记录等待写入数据库，最早的来自 {since}";
        journal_unreadable: "cannot be read" / "无法读取";
        last_backup: "Last backup" / "上次备份";
        more_rests(more: usize): "and {more} more; `onepool keys` shows all" / "另有 {more} 个；可用 `onepool keys` 查看全部";

        setting: "Setting" / "设置项";
        in_force: "Value" / "生效值";
        source: "From" / "来源";
        problem: "Problem" / "问题";
        from_flag: "flag" / "命令行参数";
        from_environment: "environment" / "环境变量";
        from_file: "file" / "文件";
        from_page: "settings page" / "设置页面";
        from_default: "default" / "默认值";
        check_ok: "[ok]" / "[正常]";
        check_hint: "[hint]" / "[提示]";
        check_wrong: "[wrong]" / "[错误]";
        config_wrong: "A server cannot start with these settings, or should not." / "服务无法以这些设置启动，或不应如此启动。";
        folder_writable(path: &str): "The data folder {path} can be written." / "数据目录 {path} 可写。";
        folder_will_be_made(path: &str): "The data folder {path} is made at the first start." / "数据目录 {path} 将在首次启动时创建。";
        key_readable(path: &str): "Other users of this machine can read the master key {path}: chmod 600 it." / "本机其他用户可以读取主密钥 {path}：请执行 chmod 600。";
        providers_fine: "The files of providers and of the ranking are right." / "服务商文件和排名文件格式正确。";
        provider_file_wrong(fault: &str): "A file of providers or of the ranking is wrong, so that none of its folder counts: {fault}" / "服务商或排名文件有误，因此该文件夹中的文件均不生效：{fault}";
        provider_faults(count: usize): "{count} wrong; see onepool check-config" / "{count} 处错误；见 onepool check-config";
        provider_files: "Provider files" / "服务商文件";
        database_opens: "The database opens with the master key." / "数据库可用主密钥打开。";
        database_older: "The database has an older schema; the next start makes a backup of it and brings it up to date." / "数据库的结构版本较旧；下次启动时会先备份再升级。";
        port_ours(address: &str): "A server of this data folder listens on {address}." / "此数据目录的服务正在监听 {address}。";
        port_differs(address: &str, wanted: &str): "A server of this data folder listens on {address}; the settings say {wanted}, which counts from its next start." / "此数据目录的服务正在监听 {address}；设置为 {wanted}，下次启动后生效。";
        port_unknown: "A server of this data folder runs, but has not said where it listens." / "此数据目录的服务正在运行，但尚未给出监听地址。";
        port_free(address: &str): "{address} is free." / "{address} 空闲。";
        url_not_needed: "PUBLIC_URL is not set; links name the address in the browser." / "未设置 PUBLIC_URL；链接使用浏览器中的地址。";
        url_missing: "PUBLIC_URL is not set although the server listens beyond this machine; links and snippets name whatever address the browser used." / "服务监听本机以外的地址，但未设置 PUBLIC_URL；链接和配置片段会使用浏览器所用的地址。";
        url_plain: "PUBLIC_URL begins with http://: tokens and passwords cross the network in the clear. Put a reverse proxy with HTTPS in front." / "PUBLIC_URL 以 http:// 开头：令牌和密码会以明文传输。请在前面部署提供 HTTPS 的反向代理。";
        url_set: "PUBLIC_URL is set." / "已设置 PUBLIC_URL。";
        proxies_everybody: "TRUSTED_PROXIES trusts every address, so every client can claim any address. Name the reverse proxy's network." / "TRUSTED_PROXIES 信任所有地址，任何客户端都能伪造来源地址。请填写反向代理所在的网段。";
        proxies_missing: "PUBLIC_URL is https://, so a reverse proxy stands in front, but TRUSTED_PROXIES is empty: all clients seem to come from the proxy. Name its address, such as 127.0.0.1." / "PUBLIC_URL 为 https://，说明前面有反向代理，但 TRUSTED_PROXIES 为空：所有客户端都会显示为来自该代理。请填写其地址，例如 127.0.0.1。";
        proxies_fine: "TRUSTED_PROXIES fits." / "TRUSTED_PROXIES 设置合适。";
    }
}
