//! What the command line says, and the page that stands for all others before the set-up.

use super::texts;

texts! {
    /// The command line: help, messages, and faults that stop a start.
    Cli {
        about: "Pools many upstream LLM API keys behind one OpenAI-compatible endpoint" / "将多个上游大模型 API 密钥汇聚到一个兼容 OpenAI 的接口之后";
        about_serve: "Run the server (the default)" / "运行服务（默认命令）";
        about_admin: "Look after accounts" / "管理账户";
        about_reset_password: "Give an account a new random password and end its sessions; works while the server runs" / "为账户生成新的随机密码并结束其所有会话；服务运行时也可使用";
        about_healthcheck: "Ask the server on the configured port whether it is alive" / "检查所配置端口上的服务是否存活";
        about_help: "Print help" / "显示帮助";
        about_version: "Print the version" / "显示版本";
        about_user: "The account's name" / "账户名";
        about_secret_file(name: &str): "File that holds {name}" / "存放 {name} 的文件";
        heading_settings: "Settings (flag, else environment)" / "设置（命令行参数优先于环境变量）";
        heading_options: "Options" / "选项";
        heading_arguments: "Arguments" / "参数";
        heading_examples: "Examples:" / "示例：";
        heading_commands: "Commands" / "命令";
        usage: "Usage: " / "用法：";
        help_environment(name: &str): "[env: {name}]" / "[环境变量：{name}]";
        help_default(value: &str): "[default: {value}]" / "[默认值：{value}]";

        error(text: &str): "onepool: {text}" / "onepool：{text}";
        bad_setting(name: &str, problem: &str): "bad setting {name}: {problem}" / "设置项 {name} 无效：{problem}";
        bad_value(value: &str, remedy: &str): "`{value}` does not do; {remedy}" / "`{value}` 不可用；{remedy}";
        bad_option(name: &str, problem: &str): "{name}: {problem}" / "{name}：{problem}";
        gone_meanwhile: "it was removed meanwhile; list again" / "该项已被删除，请重新查看列表";
        database_failed(cause: &str): "the database did not do it: {cause}" / "数据库操作失败：{cause}";
        give_text: "give a text" / "请输入文本";
        give_path: "give a path" / "请提供路径";
        give_switch: "give true or false" / "请使用 true 或 false";
        give_integer(min: i64, max: i64): "give a whole number from {min} to {max}" / "请使用 {min} 到 {max} 之间的整数";
        give_address: "give an address and a port, such as 127.0.0.1:3000 or [::]:3000" / "请使用地址加端口，例如 127.0.0.1:3000 或 [::]:3000";
        give_url: "give an address such as https://pool.example.com, without a query" / "请使用形如 https://pool.example.com 的地址，不带查询参数";
        give_networks: "give addresses or networks separated by commas, such as 172.16.0.0/12" / "请使用以逗号分隔的地址或网段，例如 172.16.0.0/12";
        give_zone: "give an IANA time zone such as Asia/Shanghai, or system" / "请使用 IANA 时区（例如 Asia/Shanghai）或 system";
        give_one_of(words: &str): "give one of: {words}" / "请使用以下值之一：{words}";
        short_key: "it is shorter than 32 characters; make one with `openssl rand -base64 32`" / "长度不足 32 个字符；可用 `openssl rand -base64 32` 生成";
        weak_metrics_token: "it must have at least 16 letters, digits or signs, without spaces; make one with `openssl rand -hex 24`" / "须至少 16 个字母、数字或符号，且不含空格；可用 `openssl rand -hex 24` 生成";
        password_length(least: usize, most: usize): "a password has {least} to {most} characters; choose another one" / "密码长度须为 {least} 到 {most} 个字符；请更换密码";
        unreadable_file(path: &str, cause: &str): "cannot read `{path}`: {cause}; name a readable file" / "无法读取 `{path}`：{cause}；请指定可读的文件";
        empty_file(path: &str): "`{path}` is empty; put the value into it" / "`{path}` 是空文件；请将值写入其中";
        bad_log_filter(cause: &str): "{cause}; give a level such as info, or a list such as info,onepool::relay=debug" / "{cause}；请使用 info 之类的级别，或 info,onepool::relay=debug 之类的列表";
        listening(url: &str): "listening on {url}" / "正在监听 {url}";
        set_up_here(url: &str): "no account yet; create one here (the link works once, until the next start): {url}" / "尚无账户，请打开以下链接创建（一次性链接，重启后失效）：{url}";
        stopped_at_once: "stopped at once by a second signal; running answers were cut" / "收到第二个信号，已立即停止，正在进行的回答被中断";
        stopped_by_fault: "the server stopped accepting connections by a fault of its own; the log has the details" / "服务因自身故障停止接受连接，详情见日志";
        password_reset(name: &str, password: &str): "new password of {name}: {password}\nIt must be changed at the next login. All sessions of the account were ended." / "{name} 的新密码：{password}\n下次登录时必须修改。该账户的所有会话均已结束。";
        no_account_yet: "there is no account yet: start the server and open the set-up link that it prints" / "尚无账户：请启动服务并打开其输出的初始化链接";
        no_such_account(name: &str, names: &str): "there is no account {name}; name one of these with --user: {names}" / "账户 {name} 不存在；请用 --user 指定以下账户之一：{names}";
        not_healthy(address: &str, problem: &str): "the server on {address} is not healthy: {problem}" / "{address} 上的服务不健康：{problem}";
        no_fixed_port: "PORT 0 takes any free port; set the one to check with --port" / "PORT 为 0 时端口不固定，请用 --port 指定要检查的端口";
        system_failed(problem: &str): "the system does not let the program work: {problem}" / "系统不允许程序运行：{problem}";

        folder_unusable(path: &str, cause: &str): "cannot use {path}: {cause}. Set DATA_DIR to a folder that this user may write, or change the folder's owner" / "无法使用 {path}：{cause}。请将 DATA_DIR 设为当前用户可写的目录，或更改该目录的所有者";
        folder_not_permitted(path: &str, folder: &str, command: &str, uid: u32, gid: u32): "cannot use {path}: permission denied. This process runs as uid {uid}, gid {gid}. Give it the data folder:\n\n  {command}\n\nIn a container, do it on the host, with the host's folder that is mounted at {folder}; if that is ./data:\n\n  sudo chown -R {uid}:{gid} ./data\n\nOr set DATA_DIR to another folder" / "无法使用 {path}：权限不足。本进程以 uid {uid}、gid {gid} 运行，请将数据目录的所有权交给它：\n\n  {command}\n\n如果运行在容器中，请在宿主机上对挂载到 {folder} 的目录执行；若该目录是 ./data：\n\n  sudo chown -R {uid}:{gid} ./data\n\n也可以将 DATA_DIR 设为其他目录";
        folder_read_only(path: &str): "cannot use {path}: its file system is read-only. Mount the data folder writable (in a container: as a volume, without :ro), or set DATA_DIR to another one" / "无法使用 {path}：所在的文件系统是只读的。请以可写方式挂载数据目录（在容器中：作为卷挂载，且不带 :ro），或将 DATA_DIR 设为其他目录";
        folder_in_use(path: &str): "another onepool runs on the data folder {path}: stop it first, or set another DATA_DIR" / "数据目录 {path} 正被另一个 onepool 使用：请先停止它，或设置其他 DATA_DIR";
        key_missing(key: &str, database: &str): "the master key {key} is missing, and the secrets in {database} cannot be read without it: put the file back, or set SECRET_KEY or SECRET_KEY_FILE to the key that this data folder was made with" / "缺少主密钥 {key}，没有它就无法读取 {database} 中的机密数据：请放回该文件，或将 SECRET_KEY 或 SECRET_KEY_FILE 设为创建此数据目录时所用的密钥";
        key_damaged(path: &str): "{path} is damaged: it holds fewer than 32 characters. Put the original file back" / "{path} 已损坏：内容不足 32 个字符。请放回原文件";
        key_wrong(path: &str): "the master key does not open the secrets in {path}: set SECRET_KEY or SECRET_KEY_FILE to the key that this data folder was made with (by default its file secret.key)" / "主密钥无法解开 {path} 中的机密数据：请将 SECRET_KEY 或 SECRET_KEY_FILE 设为创建此数据目录时所用的密钥（默认为其中的 secret.key 文件）";
        no_database(path: &str): "there is no database in {path}: start the server first, or set DATA_DIR to its data folder" / "{path} 中没有数据库：请先启动服务，或将 DATA_DIR 设为服务的数据目录";
        database_unusable(path: &str, cause: &str): "cannot open the database {path}: {cause}" / "无法打开数据库 {path}：{cause}";
        schema_newer(path: &str, found: i64, known: i64): "the database {path} has schema {found}, this OnePool knows {known}: start the newer version again, or restore the backup that it made before its migration (the data folder's backups)" / "数据库 {path} 的结构版本为 {found}，而当前 OnePool 只支持到 {known}：请重新使用较新的版本，或恢复其迁移前的备份（数据目录下的 backups）";
        schema_older(path: &str): "the database {path} has an older schema: start this version of the server once, then try again" / "数据库 {path} 的结构版本较旧：请先用此版本启动一次服务，然后重试";
        cannot_listen(address: &str, cause: &str): "cannot listen on {address}: {cause}. Set LISTEN or PORT to an address that is free" / "无法监听 {address}：{cause}。请将 LISTEN 或 PORT 设为空闲的地址";

        not_set_up_title: "Not set up yet" / "尚未初始化";
        not_set_up_text: "This server has no account yet, so nothing answers here." / "此服务还没有账户，因此暂不提供任何页面。";
        not_set_up_remedy: "Open the set-up link that the server printed when it started. It is in the terminal, or in the container's output." / "请打开服务启动时输出的初始化链接，可在终端或容器输出中找到。";
    }
}
