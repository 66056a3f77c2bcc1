//! Pool files: what is wrong with them, what applying one does, and the comments of an export.

use super::texts;

texts! {
    /// Pool files, for `onepool apply`, `onepool export` and the server's start.
    PoolFile {
        about_apply: "Bring channels, keys, chains and tokens to the state that a file declares; works while the server runs" / "将渠道、密钥、回退链和令牌调整为文件所声明的状态；服务运行时也可使用";
        about_export: "Write channels, keys, chains and tokens as such a file" / "将渠道、密钥、回退链和令牌导出为同样格式的文件";
        about_file: "TOML or JSON file; - is standard input" / "TOML 或 JSON 文件；- 表示标准输入";
        about_dry_run: "Print the plan and change nothing" / "只显示计划，不做任何更改";
        about_prune: "Also remove channels, keys, chains and tokens that the file does not declare" / "同时删除文件中未声明的渠道、密钥、回退链和令牌";
        about_json: "Print the plan as JSON" / "以 JSON 输出计划";
        about_with_secrets: "Write keys, token values and the other secrets as well, in plain text" / "同时写入密钥、令牌值等机密数据（明文）";
        about_format: "How to write: toml or json; by default what FILE's extension says, else toml" / "输出格式：toml 或 json；默认按 FILE 的扩展名，否则为 toml";
        about_output: "File to write (mode 0600) in place of standard output" / "写入该文件（权限 0600），而不是标准输出";
        about_schema: "Print the JSON schema of pool files, and nothing else" / "只输出声明文件的 JSON Schema";

        cannot_read(path: &str, cause: &str): "{path}: cannot be read: {cause}. Name a readable TOML or JSON file, or - for standard input" / "{path}：无法读取：{cause}。请指定可读的 TOML 或 JSON 文件，或用 - 表示标准输入";
        cannot_write(path: &str, cause: &str): "cannot write {path}: {cause}. Name a file in a folder that this user may write" / "无法写入 {path}：{cause}。请指定当前用户可写目录中的文件";
        too_large(path: &str, megabytes: usize): "{path}: larger than {megabytes} MiB. Split the pool into several files, and apply them without --prune" / "{path}：超过 {megabytes} MiB。请拆分为多个文件，并在不带 --prune 的情况下分别应用";
        not_utf8(path: &str): "{path}: not UTF-8 text. Save it as UTF-8" / "{path}：不是 UTF-8 文本。请以 UTF-8 编码保存";
        unknown_extension(path: &str): "{path}: neither .toml nor .json. Rename the file, so that its format is known" / "{path}：扩展名不是 .toml 或 .json。请重命名文件以表明其格式";
        nothing_changed(count: usize): "{count} faults; nothing was changed" / "共 {count} 处错误，未做任何更改";
        more_faults(count: usize): "at least {count} faults; nothing was changed" / "至少 {count} 处错误，未做任何更改";
        one_fault: "1 fault; nothing was changed" / "共 1 处错误，未做任何更改";
        stdin_name: "standard input" / "标准输入";

        syntax(words: &str): "This cannot be read: {words}." / "语法错误，无法读取：{words}。";
        odd_number: "This number is out of range; give a smaller one." / "数字超出范围，请使用较小的数字。";
        unknown_field_near(name: &str, near: &str): "There is no field “{name}” here; “{near}” is probably meant." / "此处没有字段“{name}”，可能应为“{near}”。";
        unknown_field(name: &str, known: &str): "There is no field “{name}” here. The fields are: {known}." / "此处没有字段“{name}”。可用的字段：{known}。";
        unreadable_field(words: &str): "This cannot be read: {words}." / "无法读取：{words}。";
        missing: "This is missing; please add it." / "缺少此项，请补充。";
        one_of(words: &str): "Please use one of: {words}." / "请使用以下值之一：{words}。";
        not_a_time: "This is not a time with its zone; write it as 2030-01-31T00:00:00Z or 2030-01-31T08:00:00+08:00." / "这不是带时区的时间，请写成 2030-01-31T00:00:00Z 或 2030-01-31T08:00:00+08:00 的形式。";
        wrong_kind(wanted: &str, found: &str): "Please give {wanted}; this is {found}." / "此处应为{wanted}，而不是{found}。";
        or: " or " / "或";
        kind_switch: "true or false" / "true 或 false";
        kind_integer: "a whole number" / "整数";
        kind_number: "a number" / "数字";
        kind_text: "a text in quotes" / "带引号的文本";
        kind_list: "a list" / "列表";
        kind_table: "a table of fields" / "字段表";
        kind_nothing: "null" / "null";
        channel_twice(first: &str): "{first} is the same name, letter case aside; declare each channel once." / "与 {first} 名称相同（不区分大小写）；每个渠道只能声明一次。";
        chain_twice(first: &str): "{first} is the same name, letter case aside; declare each chain once." / "与 {first} 名称相同（不区分大小写）；每个回退链只能声明一次。";
        token_twice(first: &str): "{first} is the same name, letter case aside; declare each token once." / "与 {first} 名称相同（不区分大小写）；每个令牌只能声明一次。";
        header_twice(first: &str): "{first} is the same header, letter case aside; leave one of them out." / "与 {first} 是同一个请求头（不区分大小写）；请去掉其中一个。";
        key_twice(first: &str): "{first} is the same key; a channel has each key once." / "与 {first} 是同一个密钥；同一渠道中每个密钥只能出现一次。";
        value_twice(first: &str): "{first} is the same value; each token needs its own." / "与 {first} 的值相同；每个令牌须有各自的值。";
        value_of_another(name: &str): "This is a value of the token “{name}”, which still works; choose another one." / "这是令牌“{name}”仍然有效的值，请换一个。";
        no_variable(name: &str): "The environment variable {name} is not set or empty; set it, or give the secret in another way." / "环境变量 {name} 未设置或为空；请设置它，或以其他方式提供机密值。";
        unreadable_secret(path: &str, cause: &str): "{path} cannot be read: {cause}. Name a readable text file; its path begins at the pool file's folder." / "无法读取 {path}：{cause}。请指定可读的文本文件；路径相对于声明文件所在目录。";
        large_secret(path: &str, kib: u64): "{path} is larger than {kib} KiB; put only the secret into it." / "{path} 超过 {kib} KiB；文件中只应包含机密值。";
        empty_secret(path: &str): "{path} is empty; put the secret into it." / "{path} 是空文件；请将机密值写入其中。";
        nothing_to_keep: "The pool has no secret here that could be kept; give it as env:NAME, as file:PATH or as it is." / "此处没有可保留的机密值；请用 env:NAME、file:PATH 或直接写出。";
        not_resolved: "env: and file: are read by `onepool apply` only; give the secret itself here." / "只有 `onepool apply` 会读取 env: 和 file:；此处请直接给出机密值。";

        channel: "channel" / "渠道";
        key: "key" / "密钥";
        chain: "chain" / "回退链";
        token: "token" / "令牌";
        of_channel(name: &str): "of channel {name}" / "（渠道 {name}）";
        not_set: "(not set)" / "（未设置）";
        changed: "changed" / "已更改";
        new_channel(base_url: &str, models: usize, keys: usize): "{base_url}, models: {models}, keys: {keys}" / "{base_url}，模型 {models} 个，密钥 {keys} 个";
        keys_follow: "the channel's present keys or headers will be sent to another host or proxy" / "渠道现有的密钥或请求头将发送到其他主机或代理";
        with_keys(keys: usize): "with its keys: {keys}" / "连同其密钥 {keys} 个";
        refused_at_once: "its value stops working at once" / "其值立即失效";
        value_given: "with the given value" / "使用给定的值";
        value_generated: "with a random value" / "使用随机生成的值";
        value_replaced: "the present value stops working at once" / "现有的值立即失效";
        nothing_to_change: "nothing to change" / "无需更改";
        planned_anew: "the pool was changed meanwhile; planning anew" / "号池在此期间被更改，正在重新计划";
        dry_run_done: "dry run: nothing was changed" / "试运行：未做任何更改";
        applied(steps: usize): "applied; steps: {steps}" / "已应用，共 {steps} 项";
        new_value(name: &str, value: &str): "value of the new token {name}, which its page in the browser shows again: {value}" / "新令牌 {name} 的值（之后可在浏览器中该令牌的页面查看）：{value}";
        busy: "others kept changing the pool, and nothing was applied; try again" / "号池持续被其他操作更改，未能应用；请重试";
        apply_failed(cause: &str): "the database did not take the change, and nothing was applied: {cause}" / "数据库未接受更改，未做任何应用：{cause}";

        written_by: "Written by onepool export; onepool apply reads it. docs/pool-file.md describes the format." / "由 onepool export 写出，可由 onepool apply 读取。格式说明见 docs/pool-file.zh-CN.md。";
        holds_secrets: "It holds secrets in plain text: keep it where only you can read it." / "其中包含明文机密数据：请妥善保管，仅限本人可读。";
        without_secrets: "Secrets are left out: keep: stands for one that the pool has, and a token without a value keeps its own." / "不含机密数据：keep: 表示保留号池中已有的值；令牌未写 value 时保留原值。";
        keys_left_out(count: usize): "Keys left out: {count}. They stay as they are. To declare them here, set these variables and remove\nthe comment marks:" / "省略了 {count} 个密钥，它们保持不变。如需在此声明，请设置以下环境变量并去掉注释符号：";
    }
}
