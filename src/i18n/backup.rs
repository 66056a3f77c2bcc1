//! What the commands about backups and the master key say.

use super::texts;

texts! {
    /// `backup`, `restore` and `admin rotate-key`.
    Backup {
        about_backup: "Copy the database into one file; works while the server runs" / "将数据库备份为单个文件；服务运行时也可使用";
        about_path: "The file to make, or a folder for it [default: backups/onepool-YYYYMMDD-HHMMSS.db in the data folder, in UTC]" / "备份文件的路径，或存放它的目录 [默认值：数据目录下的 backups/onepool-YYYYMMDD-HHMMSS.db，UTC 时间]";
        about_json: "Print JSON" / "以 JSON 输出";
        about_restore: "Put a backup in the place of the data folder's database; the server must be stopped" / "用备份替换数据目录中的数据库；须先停止服务";
        about_file: "The backup" / "备份文件";
        about_yes: "Do not ask, also if there is a database already" / "已有数据库时也不询问";
        about_rotate_key: "Seal all secrets with a new master key; the server must be stopped" / "更换主密钥并重新加密所有机密数据；须先停止服务";
        about_new_key_file: "File with the new master key; if it does not exist, it is made with a random one" / "存放新主密钥的文件；不存在时自动创建并写入随机密钥";

        made(path: &str, bytes: u64): "backup made: {path} ({bytes} bytes)" / "备份完成：{path}（{bytes} 字节）";
        contents(accounts: u64, channels: u64, keys: u64, tokens: u64, usage_rows: u64, schema: i64): "accounts: {accounts}, channels: {channels}, keys: {keys}, tokens: {tokens}, usage rows: {usage_rows} (schema {schema})" / "账户：{accounts}，渠道：{channels}，密钥：{keys}，令牌：{tokens}，用量记录：{usage_rows}（结构版本 {schema}）";
        key_is_not_in_it(key: &str): "The secrets in it are sealed, and the master key is not in it. Keep {key} too, in another place: without it the backup's keys and tokens cannot be read." / "备份中的机密数据已加密，且不含主密钥。请另行妥善保存 {key}：没有它，备份中的密钥和令牌将无法读取。";
        given_key_is_not_in_it: "The secrets in it are sealed, and the master key is not in it. Keep the value of SECRET_KEY too, in another place: without it the backup's keys and tokens cannot be read." / "备份中的机密数据已加密，且不含主密钥。请另行妥善保存 SECRET_KEY 的值：没有它，备份中的密钥和令牌将无法读取。";
        exists(path: &str): "{path} exists already: choose another name" / "{path} 已存在：请换一个名称";
        unwritable(path: &str, reason: &str): "cannot write the backup {path}: {reason}. Choose a folder that exists, is writable and has room" / "无法写入备份 {path}：{reason}。请选择已存在、可写且空间充足的目录";
        copy_damaged(reason: &str): "the database does not copy whole, so it is damaged itself: {reason}. Keep it, and the backups that you have" / "复制出的数据库不完整，说明数据库本身已损坏：{reason}。请保留它以及已有的备份";
        journal(reason: &str): "cannot add the rows that wait in the journal: {reason}" / "无法加入尚在 journal 中的用量记录：{reason}";

        restored(file: &str, data: &str): "restored {file} into {data}" / "已将 {file} 恢复到 {data}";
        moved(path: &str): "What was there before is in {path}. Delete it when you no longer need it." / "原有内容已移至 {path}，确认不再需要后可删除。";
        sessions_ended: "All sessions have ended: log in again. Accounts, passwords and tokens are those of the backup." / "所有会话均已结束，请重新登录。账户、密码和令牌均以备份为准。";
        key_changed(key: &str): "{key} is now the key that you gave, since the backup needs it; the one before was moved as well." / "备份需要您所提供的密钥，因此 {key} 已换成该密钥；原来的密钥文件也已一并移走。";
        start_with_given_key: "Start the server with the master key that you gave here." / "请使用此处提供的主密钥启动服务。";
        question(data: &str, contents: &str): "Replace the database in {data}? It is moved aside, not deleted. The backup holds\n  {contents}\nRestore it?" / "是否替换 {data} 中的数据库？原数据库会移到一旁，不会删除。备份内容：\n  {contents}\n确认恢复？";
        say_yes(data: &str): "there is a database in {data}, and no terminal to ask at: add --yes to replace it (it is moved aside, not deleted)" / "{data} 中已有数据库，且没有可供确认的终端：如需替换，请加上 --yes（原数据库会移到一旁，不会删除）";
        unreadable(path: &str, cause: &str): "cannot read {path}: {cause}. Name a backup that this user may read" / "无法读取 {path}：{cause}。请指定当前用户可读的备份";
        damaged(path: &str, reason: &str): "{path} is not an intact database: {reason}. Choose another backup" / "{path} 不是完好的数据库：{reason}。请选择其他备份";
        no_database(path: &str): "{path} is not an SQLite database. Choose a backup" / "{path} 不是 SQLite 数据库。请选择备份文件";
        not_ours(path: &str): "{path} is a database, but not one of OnePool. Choose another file" / "{path} 是数据库，但不是 OnePool 的数据库。请选择其他文件";
        newer(path: &str, found: i64, known: i64): "{path} has schema {found}, this OnePool knows {known}: restore it with the newer version" / "{path} 的结构版本为 {found}，而当前 OnePool 只支持到 {known}：请使用较新的版本恢复";
        no_key(path: &str, key: &str): "there is no master key to open the secrets in {path} with: copy the secret.key of the server that made the backup to {key}, or set SECRET_KEY or SECRET_KEY_FILE to that server's key" / "没有可解开 {path} 中机密数据的主密钥：请将备份来源服务的 secret.key 复制到 {key}，或将 SECRET_KEY 或 SECRET_KEY_FILE 设为该服务的密钥";
        wrong_key(path: &str): "the master key does not open the secrets in {path}: give the key that was in force when the backup was made, with --secret-key-file (after a key rotation the data folder keeps it as secret.key.until-...)" / "主密钥无法解开 {path} 中的机密数据：请用 --secret-key-file 提供备份时所用的密钥（更换主密钥后，旧密钥保存在数据目录的 secret.key.until-... 文件中）";
        restore_unwritable(path: &str, cause: &str): "cannot write {path}: {cause}. See to it that there is room, and that this user may write there" / "无法写入 {path}：{cause}。请确认空间充足且当前用户有写权限";

        rotated(keys: u64, token_values: u64, channels: u64, targets: u64): "a new master key is in force; sealed anew: keys: {keys}, token values: {token_values}, channels (headers, proxies): {channels}, notification targets: {targets}" / "新的主密钥已生效；已重新加密：密钥 {keys} 个，令牌值 {token_values} 个，渠道（请求头与代理）{channels} 个，通知目标 {targets} 个";
        new_key_is_in(path: &str): "The new key is in {path}." / "新密钥位于 {path}。";
        old_key_is_in(path: &str): "Backups made before need the old key, which is kept in {path}: move it to where you keep those backups' keys, and delete it when they are gone." / "此前的备份仍需旧密钥，旧密钥保存在 {path}：请移到存放这些备份密钥的地方，备份清除后再删除。";
        change_the_setting(path: &str): "Before you start the server, set SECRET_KEY_FILE to {path}, or SECRET_KEY to what is in it. With the old key it refuses to start." / "启动服务前，请将 SECRET_KEY_FILE 设为 {path}，或将 SECRET_KEY 设为其中的内容。使用旧密钥将无法启动。";
        keep_the_old_key: "Backups made before need the old key: keep it as long as you keep them." / "此前的备份仍需旧密钥：请在保留这些备份期间妥善保存。";
        name_a_key_file: "the master key is given by SECRET_KEY or SECRET_KEY_FILE, so the new one is yours to keep: name a file for it with --new-key-file (it is made with a random key if it does not exist)" / "主密钥由 SECRET_KEY 或 SECRET_KEY_FILE 提供，新密钥也需由您保存：请用 --new-key-file 指定存放它的文件（不存在时自动创建并写入随机密钥）";
        short_new_key(path: &str): "{path} holds fewer than 32 characters; make a key with `openssl rand -base64 32`" / "{path} 的内容不足 32 个字符；可用 `openssl rand -base64 32` 生成密钥";
        same_key: "the new master key is the one in force: choose another one" / "新主密钥与当前主密钥相同：请换一个";
        not_sealed_anew(cause: &str): "the secrets could not be sealed with the new key, so the old one stays in force: {cause}" / "无法用新密钥重新加密，旧密钥继续有效：{cause}";
        unfinished(path: &str): "a restore or a key rotation in {path} was interrupted: start the server, which finishes it, then try again" / "{path} 中的恢复或主密钥更换曾被中断：请先启动服务以完成该操作，然后重试";
    }
}
