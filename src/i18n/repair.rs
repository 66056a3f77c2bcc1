//! What a repair found, did, and leaves to the operator: in the command, on the Health page, in reports.

use super::texts;

texts! {
    /// `onepool repair` and the Health page.
    Repair {
        // The page and the command.
        intro: "Looks after the installation in seven steps and mends what can be mended without force: no process is stopped, nothing that you made is deleted, and no call waits for it." / "分七步检查整个系统，并以温和的方式修复可修复的问题：不停止任何进程，不删除您创建的任何内容，也不让任何调用等待。";
        now_title: "Now" / "当前状态";
        now_hint: "What can be seen at once, without asking anybody." / "无需查询任何上游即可看到的情况。";
        last_title: "Last report" / "上次报告";
        last_none: "Nothing has been looked at yet. Start with a look: it changes nothing." / "尚未进行过检查。可以先仅检查，不会做任何更改。";
        last_at(at: &str, seconds: u64): "{at}, took {seconds} s" / "{at}，用时 {seconds} 秒";
        only_looked: "only looked" / "仅检查";
        run_repair: "Repair" / "修复";
        run_look: "Look only" / "仅检查";
        run_title: "Run" / "运行";
        run_hint: "“Look only” changes nothing and makes no calls. “Repair” tests keys and models of which nothing is known from the last day, with at most 20 calls that count against their limits." / "“仅检查”不做任何更改，也不发出调用。“修复”会测试最近一天没有记录的密钥和模型，最多发出 20 次调用，并计入其限额。";
        with_openclaw: "OpenClaw is installed on this machine." / "本机已安装 OpenClaw。";
        clean_sessions: "Have OpenClaw clean up its old sessions" / "让 OpenClaw 清理其旧会话";
        restart_gateway: "Restart OpenClaw's gateway at the end" / "最后重启 OpenClaw 网关";
        running_title: "Running" / "正在运行";
        running_step(step: &str): "{step}…" / "{step}……";
        running_hint: "This page shows the progress. You may leave it; the report stays here." / "本页显示进度。您可以离开此页，报告会保留在这里。";
        started: "The repair has begun." / "修复已开始。";
        look_started: "The look has begun." / "检查已开始。";
        busy: "A repair is running already." / "已有修复正在运行。";
        progress_refresh: "Refresh" / "刷新";
        to_do: "What to do" / "处理方法";

        step_server: "Server, machine and database" / "服务、主机与数据库";
        step_keys: "Keys and models" / "密钥与模型";
        step_config: "Configuration" / "配置";
        step_stuck: "What is stuck" / "卡住的内容";
        step_chains: "Chains" / "回退链";
        step_space: "Space" / "空间";
        step_reload: "Reload" / "重新加载";

        state_ok: "fine" / "正常";
        state_fixed: "fixed" / "已修复";
        state_would_fix: "can be fixed" / "可修复";
        state_needs_you: "needs you" / "需要您处理";
        state_skipped: "skipped" / "已跳过";

        result_fine(fixed: usize): "Nothing needs you. Fixed: {fixed}." / "没有需要您处理的问题。已修复：{fixed}。";
        result_needs_you(needs: usize, fixed: usize): "Needs you: {needs}. Fixed: {fixed}." / "需要您处理：{needs}。已修复：{fixed}。";
        result_look(needs: usize, fixable: usize): "Needs you: {needs}. Can be fixed: {fixable}. Nothing was changed." / "需要您处理：{needs}。可修复：{fixable}。未做任何更改。";

        about: "Look after the installation in seven steps, and mend what can be mended without force" / "分七步检查整个系统，并温和地修复可修复的问题";
        about_dry_run: "Only look, and change nothing; makes no calls" / "仅检查，不做任何更改，也不发出调用";
        about_only: "Only this step: server, keys, config, stuck, chains, space or reload; may be given several times" / "仅执行此步骤：server、keys、config、stuck、chains、space 或 reload；可多次指定";
        about_restart_openclaw: "Restart OpenClaw's gateway at the end; it lets running work finish first" / "最后重启 OpenClaw 网关；会先等待进行中的工作完成";
        about_clean_openclaw: "Have OpenClaw clean up its old sessions, by its own rules" / "让 OpenClaw 按其自身规则清理旧会话";
        no_such_step(name: &str): "no step `{name}`: there are server, keys, config, stuck, chains, space and reload" / "没有步骤 `{name}`：可用的有 server、keys、config、stuck、chains、space 和 reload";
        step_not_taken(option: &str, step: &str): "`{option}` belongs to the step `{step}`, which `--only` leaves out" / "`{option}` 属于步骤 `{step}`，但 `--only` 未包含该步骤";

        // Server.
        server_runs(address: &str, version: &str): "The server runs at {address}, version {version}." / "服务正在 {address} 运行，版本 {version}。";
        server_answers(address: &str): "The server answers at {address}." / "服务在 {address} 响应正常。";
        server_silent(address: &str): "A server has this data folder and does not answer at {address}." / "有服务占用此数据目录，但在 {address} 没有响应。";
        server_silent_remedy: "Look at its log. If it stays silent for a minute, restart it as you usually do; it finishes running answers first." / "请查看其日志。如果一分钟后仍无响应，请按平常的方式重启；它会先完成进行中的回答。";
        server_somewhere: "A server has this data folder; it has not noted where it listens." / "有服务占用此数据目录，但未记录其监听地址。";
        server_stopped: "No server runs on this data folder." / "没有服务在此数据目录上运行。";
        lock_lost: "The lock of the data folder is not this server's any more." / "数据目录的锁已不属于此服务。";
        lock_lost_remedy: "Do not delete `onepool.lock`, and make sure that one server uses the folder; then restart the server." / "请勿删除 `onepool.lock`，并确保只有一个服务使用该目录，然后重启服务。";
        port_free(address: &str): "A server could listen on {address}." / "服务可以在 {address} 监听。";
        port_taken(address: &str, reason: &str): "A server could not listen on {address}: {reason}." / "服务无法在 {address} 监听：{reason}。";
        port_taken_remedy(port: u16): "Find out which program has port {port} (`ss -ltnp`), and stop it or set PORT to another one." / "请找出占用端口 {port} 的程序（`ss -ltnp`），停止它或将 PORT 改为其他端口。";
        port_differs(real: &str, wanted: &str): "It listens at {real}; the settings of this command say {wanted}." / "实际监听 {real}；此命令的设置为 {wanted}。";
        memory(left: &str): "Memory left: {left}." / "剩余内存：{left}。";
        memory_and_own(left: &str, own: &str): "Memory left: {left}; the server has {own}." / "剩余内存：{left}；服务占用 {own}。";
        memory_low(left: &str): "Only {left} of memory are left." / "剩余内存仅 {left}。";
        memory_low_remedy: "End what you do not need, or give the machine or container more. When none is left the system ends processes." / "请结束不需要的程序，或为主机或容器增加内存。内存耗尽时系统会强制结束进程。";
        memory_unknown: "This system does not tell how much memory is left." / "此系统无法提供剩余内存信息。";
        disk(free: &str, database: &str): "Room on the disk: {free}; the database has {database}." / "磁盘剩余空间：{free}；数据库大小 {database}。";
        disk_low(folder: &str, free: &str): "Only {free} are left on the disk of {folder}." / "{folder} 所在磁盘仅剩 {free}。";
        files_low(folder: &str, files: u64): "Only {files} more files can be made on the disk of {folder}." / "{folder} 所在磁盘仅能再创建 {files} 个文件。";
        no_room_for_backup(free: &str, database: &str): "A backup does not fit: {free} are left on the disk, and the database has {database}." / "空间不足以备份：磁盘剩余 {free}，数据库大小 {database}。";
        disk_low_remedy: "Make room on that disk; old files in the folder `backups` are a place to begin, after you copied the newest elsewhere." / "请在该磁盘上腾出空间；可先将最新的备份复制到别处，再清理 `backups` 目录中的旧文件。";
        disk_unknown: "This system does not tell how much room the disk has." / "此系统无法提供磁盘剩余空间信息。";
        folder_read_only(folder: &str): "This process may not write in {folder}." / "本进程无权写入 {folder}。";
        folder_read_only_remedy: "Give the data folder to the user that runs the server, or mount it writable." / "请将数据目录的所有权交给运行服务的用户，或以可写方式挂载。";
        key_readable(path: &str): "Others than its owner may read the master key {path}." / "主密钥 {path} 可被其所有者以外的用户读取。";
        key_readable_remedy(path: &str): "Run: chmod 600 {path}" / "请运行：chmod 600 {path}";
        clock_steady: "The server's clock was not set since its start." / "服务启动以来，时钟未被调整。";
        clock_jumped(seconds: i64): "The time of day moved by {seconds} s against the time that passed since the server started: the clock was set, or the machine slept." / "服务启动以来，系统时间与实际经过的时间相差 {seconds} 秒：时钟被调整过，或主机曾休眠。";
        clock_jumped_remedy: "Rests and limits are measured in time that passed, so none opened too early. Restart the server when it suits you, so that daily resets fit again, and let a time service (NTP) set the clock." / "休息和限额按实际经过的时间计算，因此不会过早开放。请在方便时重启服务，使每日重置重新对齐，并使用时间同步服务（NTP）。";
        clock_right(count: usize): "The clock agrees with that of {count} upstreams." / "时钟与 {count} 个上游一致。";
        clock_ahead(seconds: i64, count: usize): "The clock is {seconds} s ahead of that of {count} upstreams." / "时钟比 {count} 个上游快 {seconds} 秒。";
        clock_behind(seconds: i64, count: usize): "The clock is {seconds} s behind that of {count} upstreams." / "时钟比 {count} 个上游慢 {seconds} 秒。";
        clock_behind_log(seconds: u64): "The latest call of the log is {seconds} s in the future, so the clock was set back." / "日志中最近的调用时间在未来 {seconds} 秒，说明时钟曾被调慢。";
        clock_remedy: "Let a time service (NTP) set the machine's clock, then restart the server." / "请使用时间同步服务（NTP）校准主机时钟，然后重启服务。";
        clock_unknown: "No upstream told the time." / "没有上游返回时间。";
        database_sound: "The database is whole." / "数据库完好。";
        database_too_large(seconds: u64): "The database was not read to its end within {seconds} s." / "未能在 {seconds} 秒内读完数据库。";
        database_damaged(what: &str): "The database is damaged: {what}" / "数据库已损坏：{what}";
        database_damaged_remedy(backups: &str): "Stop the server, copy the data folder elsewhere as it is, and restore the newest good backup: onepool restore FILE (backups are in {backups}). Then look after the disk: databases are damaged by failing disks and by copies made while they are written." / "请停止服务，将数据目录原样复制到别处，然后恢复最新的完好备份：onepool restore FILE（备份位于 {backups}）。随后请检查磁盘：数据库损坏通常源于磁盘故障，或在写入时直接复制文件。";
        database_orphans(table: &str, parent: &str): "A row of the table {table} names one of {parent} that is not there." / "表 {table} 中有记录指向 {parent} 中不存在的记录。";
        database_orphans_remedy: "The server works on. Somebody changed the file with another program; make a backup now, and report it if you did not." / "服务仍可运行。可能有人用其他程序修改过文件；请立即备份，若并非您所为，请报告此问题。";
        database_failed(reason: &str): "The database did not do what this step asked: {reason}" / "数据库未能完成此步骤：{reason}";
        database_failed_remedy: "Try again. If it stays, look at the disk and at the server's log, and run `onepool repair --only server`." / "请重试。若仍然失败，请检查磁盘和服务日志，并运行 `onepool repair --only server`。";
        unusable_remedy: "If the file is damaged, stop the server, copy the data folder elsewhere as it is, and restore the newest good backup: onepool restore FILE." / "如果文件已损坏，请停止服务，将数据目录原样复制到别处，然后恢复最新的完好备份：onepool restore FILE。";
        skipped_damaged: "Not with a damaged database: nothing is written to it." / "数据库已损坏，不对其写入，因此跳过。";
        skipped_unusable: "Not without the database." / "无法打开数据库，因此跳过。";
        journal_empty: "No row waits in the journal." / "日志缓冲中没有等待的记录。";
        journal_waits(rows: u64): "Rows in the journal, on their way to the database: {rows}." / "日志缓冲中正在写入数据库的记录：{rows}。";
        journal_lags(rows: u64, minutes: u64): "{rows} rows wait in the journal, the oldest for {minutes} minutes. None is lost." / "日志缓冲中有 {rows} 条记录等待，最早的已等待 {minutes} 分钟。没有记录丢失。";
        journal_unreadable(reason: &str): "The journal cannot be read: {reason}" / "无法读取日志缓冲：{reason}";
        journal_remedy: "Look at the server's log for why rows do not reach the database (mostly the disk), and restart the server after that." / "请在服务日志中查找记录未能写入数据库的原因（多为磁盘问题），处理后重启服务。";

        // Keys.
        no_keys: "No key is switched on." / "没有启用的密钥。";
        believed(count: usize): "Keys, and models on keys, that were proved or answered within the last day: {count}." / "最近一天内已确认或已有成功调用的密钥及密钥上的模型：{count}。";
        pairs_resting(count: usize): "Not asked, since they are paused or a limit of theirs is used up for now: {count}." / "因已暂停或限额暂时用完而未测试：{count}。";
        not_asked(count: usize, most: usize): "Not asked this time: {count}; a repair makes at most {most} calls. Run it again for more." / "本次未测试：{count}；一次修复最多发出 {most} 次调用。可再次运行以继续。";
        not_asked_dry(count: usize): "Nothing is known from the last day, and a look makes no calls: {count}." / "最近一天没有记录，而仅检查时不发出调用：{count}。";
        key_valid(key: &str): "{key} is valid." / "{key} 有效。";
        key_woken(key: &str, rests: usize): "{key} answers again; {rests} rests were ended." / "{key} 已恢复响应；已结束 {rests} 个休息。";
        key_invalid(key: &str, text: &str): "The provider refuses {key}. {text}" / "服务商拒绝 {key}。{text}";
        key_invalid_remedy: "Look at the key at its provider; replace it or switch it off. Calls already go elsewhere." / "请在服务商处检查该密钥，更换或停用它。调用已转往其他密钥。";
        key_unproved(key: &str, text: &str): "Nothing could be found out about {key}. {text}" / "无法确认 {key} 是否有效。{text}";
        key_unproved_remedy: "Read what the upstream says. `onepool keys check ID` shows each step." / "请阅读上游返回的内容。`onepool keys check ID` 可显示每一步。";
        model_answers(key: &str, model: &str): "{key} answers with {model}." / "{key} 可使用 {model}。";
        model_woken(key: &str, model: &str, rests: usize): "{key} answers with {model} again; {rests} rests were ended." / "{key} 已可重新使用 {model}；已结束 {rests} 个休息。";
        model_unavailable(key: &str, model: &str, text: &str): "{model} is not to be had with {key}. {text}" / "{key} 无法使用 {model}。{text}";
        model_unavailable_remedy: "Take the model off the channel if its upstream has it no more; ask for access if it is gated." / "如果上游已下线该模型，请将其从渠道中移除；如果需要授权，请向服务商申请。";
        model_fails(key: &str, model: &str, text: &str): "{key} did not answer with {model}. {text}" / "{key} 使用 {model} 时没有得到回答。{text}";

        // Configuration.
        settings_fine: "Every saved setting can be used." / "所有已保存的设置均可使用。";
        setting_wrong(name: &str, problem: &str): "The saved setting {name} cannot be used: {problem}" / "已保存的设置 {name} 无法使用：{problem}";
        setting_wrong_remedy: "Correct it on the page Settings; its default holds until then." / "请在“设置”页面更正；在此之前使用默认值。";
        pool_file_applied(path: &str): "The pool is as {path} says." / "当前配置与 {path} 一致。";
        pool_file_differs(path: &str, steps: usize): "{path} can be used; the next start would change {steps} things to what it says." / "{path} 可以使用；下次启动会按其内容更改 {steps} 处。";
        pool_file_remedy: "Correct the file: the next start refuses it. `onepool apply FILE --dry-run` checks it." / "请更正该文件：下次启动会拒绝它。可用 `onepool apply FILE --dry-run` 检查。";
        providers_fine: "The files of providers can be read." / "服务商文件均可读取。";
        provider_file_wrong(text: &str): "A file of providers cannot be used: {text}" / "服务商文件无法使用：{text}";
        provider_file_remedy: "Correct the file, or take it out of the folder `providers`; what was known before holds until then." / "请更正该文件，或将其移出 `providers` 目录；在此之前沿用原有内容。";
        openclaw_absent: "OpenClaw is not installed on this machine, or not on this process's PATH." / "本机未安装 OpenClaw，或它不在本进程的 PATH 中。";
        openclaw_absent_remedy: "Run `openclaw gateway restart` on the machine that has it." / "请在安装了 OpenClaw 的机器上运行 `openclaw gateway restart`。";
        openclaw_config_valid: "OpenClaw accepts its configuration." / "OpenClaw 的配置有效。";
        openclaw_config_invalid(text: &str): "OpenClaw does not accept its configuration: {text}" / "OpenClaw 的配置无效：{text}";
        openclaw_config_remedy: "Correct openclaw.json at the places named. `openclaw doctor --fix` migrates old files; it keeps a copy." / "请在所指位置更正 openclaw.json。`openclaw doctor --fix` 可迁移旧文件，并会保留副本。";
        openclaw_doctor_content: "OpenClaw's doctor finds nothing." / "OpenClaw 的 doctor 未发现问题。";
        openclaw_doctor_complains(text: &str): "OpenClaw's doctor says: {text}" / "OpenClaw 的 doctor 提示：{text}";
        openclaw_doctor_remedy: "Read it with `openclaw doctor --lint`. `openclaw doctor --fix` mends what it can, and changes files; it is never run here." / "可用 `openclaw doctor --lint` 查看。`openclaw doctor --fix` 会尽量修复并修改文件，此处从不运行它。";
        openclaw_sessions(text: &str): "OpenClaw's sessions, only looked at: {text}" / "OpenClaw 的会话（仅查看）：{text}";
        openclaw_cleaned(text: &str): "OpenClaw cleaned its sessions up: {text}" / "OpenClaw 已清理会话：{text}";
        openclaw_too_old(command: &str): "This release of OpenClaw has no `openclaw {command}`." / "此版本的 OpenClaw 没有 `openclaw {command}`。";
        openclaw_late(command: &str): "`openclaw {command}` did not end in time, and was asked to end." / "`openclaw {command}` 未在时限内结束，已请求其退出。";
        openclaw_failed(command: &str, text: &str): "`openclaw {command}` failed: {text}" / "`openclaw {command}` 失败：{text}";
        openclaw_failed_remedy: "Run it yourself, as the user that OpenClaw belongs to; this server may run as another one." / "请以 OpenClaw 所属的用户自行运行；本服务可能以其他用户身份运行。";
        openclaw_would_restart: "OpenClaw's gateway would be restarted." / "将会重启 OpenClaw 网关。";
        openclaw_restarted: "OpenClaw's gateway was asked to restart." / "已请求 OpenClaw 网关重启。";
        openclaw_not_restarted(text: &str): "OpenClaw's gateway did not restart: {text}" / "OpenClaw 网关未能重启：{text}";
        openclaw_restart_remedy: "Look at `openclaw gateway status`." / "请查看 `openclaw gateway status`。";

        // Stuck.
        stuck_no_server: "No server runs, so no call holds anything." / "没有服务在运行，因此没有调用占用资源。";
        no_stuck_slots: "No call holds its place for too long." / "没有调用占用名额过久。";
        slots_stuck(count: usize, hours: u64): "{count} calls hold their place for more than {hours} hours, longer than any call lives." / "{count} 个调用占用名额超过 {hours} 小时，长于任何调用的时限。";
        slots_released(count: usize, hours: u64): "The places of {count} calls were given back; they were held for more than {hours} hours." / "已收回 {count} 个调用的名额；它们被占用超过 {hours} 小时。";
        calls_now(under_way: usize, waiting: usize): "Calls under way: {under_way}; waiting: {waiting}." / "进行中的调用：{under_way}；等待中：{waiting}。";
        tasks_run: "All background tasks run." / "所有后台任务运行正常。";
        tasks_died(names: &str): "Background tasks died: {names}." / "后台任务已中止：{names}。";
        tasks_died_remedy: "The server's log says why. Restart the server when it suits you; report the lines from the log." / "服务日志中有原因。请在方便时重启服务，并报告相关日志。";
        no_vitals: "The server has noted nothing of itself." / "服务没有留下任何状态记录。";
        no_vitals_remedy: "If it has just started, try again in a moment. Else it is an older version, or it cannot write its data folder." / "如果它刚刚启动，请稍后重试；否则可能是旧版本，或无法写入数据目录。";
        server_hangs(seconds: u64): "The server has noted nothing of itself for {seconds} s; it hangs, or cannot write its data folder." / "服务已有 {seconds} 秒没有留下状态记录；它可能已停止响应，或无法写入数据目录。";
        wish_ignored(seconds: u64): "The server did not do within {seconds} s what this command asked for." / "服务未在 {seconds} 秒内完成此命令的请求。";
        rests_fine: "No rest is left over." / "没有遗留的休息。";
        rests_stuck(gone: usize, late: usize): "Rests of what is gone: {gone}; rests whose end a wrong clock has put far away: {late}." / "已删除对象的休息：{gone}；因时钟错误而结束时间过远的休息：{late}。";
        rests_ended(gone: usize, late: usize): "Ended rests of what is gone: {gone}; rests whose end a wrong clock had put far away: {late}." / "已结束已删除对象的休息：{gone}；因时钟错误而结束时间过远的休息：{late}。";
        backup_made(hours: u64, every: u32): "The last backup by the clock is {hours} hours old; one is made every {every} hours." / "最近一次自动备份在 {hours} 小时前；每 {every} 小时备份一次。";
        backup_late(hours: u64, every: u32): "The last backup by the clock is {hours} hours old, and one is to be made every {every} hours." / "最近一次自动备份在 {hours} 小时前，而设定为每 {every} 小时备份一次。";
        backup_late_remedy: "The server's log says why (mostly the disk). `onepool backup` makes one now." / "服务日志中有原因（多为磁盘问题）。可用 `onepool backup` 立即备份。";
        backup_awaited(every: u32): "No backup by the clock was made yet; one is made every {every} hours." / "尚未进行自动备份；每 {every} 小时备份一次。";
        backup_without_server: "Backups by the clock are made while the server runs." / "自动备份仅在服务运行时进行。";
        no_backups_wanted: "No backups are made by the clock; `BACKUP_EVERY_HOURS` switches them on." / "未启用自动备份；可通过 `BACKUP_EVERY_HOURS` 启用。";

        // Chains.
        managed_fine: "The managed chains hold the best models that answer." / "自动维护的回退链包含当前可用的最佳模型。";
        chain_rebuilt(chain: &str, models: usize): "The managed chain {chain} was built anew; it has {models} models now." / "自动维护的回退链 {chain} 已重建，现有 {models} 个模型。";
        chain_outdated(chain: &str): "The managed chain {chain} would get other models, or another order." / "自动维护的回退链 {chain} 的模型或顺序将会改变。";
        chain_failing(chain: &str): "Every model of the managed chain {chain} fails at present." / "自动维护的回退链 {chain} 中的所有模型目前均失败。";
        chain_failing_remedy: "Add a key or a channel; the step “Keys and models” says what is wrong with those that there are." / "请添加密钥或渠道；“密钥与模型”步骤会说明现有密钥和模型的问题。";
        no_chains: "No chain made by hand is switched on." / "没有启用的手动回退链。";
        chains_fine: "Every step of every chain made by hand is served." / "所有手动回退链的每一步都有渠道提供。";
        chain_dead(chain: &str): "Nobody serves any step of the chain {chain}." / "回退链 {chain} 的所有步骤都没有渠道提供。";
        step_unserved(chain: &str, model: &str): "Nobody serves the step {model} of the chain {chain}; calls pass it by." / "回退链 {chain} 的步骤 {model} 没有渠道提供；调用会跳过它。";
        step_without_keys(chain: &str, model: &str): "The step {model} of the chain {chain} has no key that is on." / "回退链 {chain} 的步骤 {model} 没有启用的密钥。";
        step_vanished(chain: &str, model: &str): "No upstream lists the step {model} of the chain {chain} any more." / "已没有上游列出回退链 {chain} 的步骤 {model}。";
        chain_remedy: "You made this chain, so it is left as it is: take the step out, or bring its model back." / "此回退链由您创建，因此保持不变：请移除该步骤，或恢复其模型。";
        step_keys_remedy: "Add a key to a channel that serves it, or switch one on." / "请为提供该模型的渠道添加密钥，或启用已有密钥。";

        // Space.
        rows_old(rows: u64, days: u32): "{rows} calls of the log are older than {days} days." / "日志中有 {rows} 条调用早于 {days} 天。";
        rows_deleted(rows: u64, days: u32, others: u64): "Deleted {rows} calls of the log that were older than {days} days (sums stay), and {others} sessions and token values that had ended." / "已删除早于 {days} 天的 {rows} 条调用记录（汇总保留），以及 {others} 个已失效的会话和令牌值。";
        no_old_rows(days: u32): "Nothing in the log is older than {days} days." / "日志中没有早于 {days} 天的内容。";
        rows_are_the_servers: "Old rows are the server's to delete, by the settings that it was started with; it does so every hour." / "旧记录由服务按其启动时的设置删除，每小时一次。";
        no_leftovers: "No draft of a backup was left behind." / "没有遗留的备份草稿文件。";
        leftovers(count: usize, size: &str): "{count} drafts of backups that did not come to their end take {size}." / "{count} 个未完成的备份草稿文件占用 {size}。";
        leftovers_deleted(count: usize, size: &str): "Deleted {count} drafts of backups that did not come to their end: {size}." / "已删除 {count} 个未完成的备份草稿文件：{size}。";
        leftovers_stay(reason: &str): "A draft of a backup cannot be deleted: {reason}" / "无法删除备份草稿文件：{reason}";
        file_dense(size: &str): "The database has {size}, and nearly all of it is in use." / "数据库大小 {size}，几乎全部在使用中。";
        room_free(size: &str): "{size} of the database are empty and can be given back." / "数据库中有 {size} 空闲，可以释放。";
        room_given_back(size: &str): "Given back to the disk: {size}." / "已释放给磁盘：{size}。";
        room_needs_stop(size: &str): "{size} of the database are empty; it was made by an older version, so it must be written anew once. New rows use that room. To have it on the disk, stop the server and run `onepool repair --only space`." / "数据库中有 {size} 空闲；它由旧版本创建，需要整体重写一次。新记录会使用这些空间。若要释放给磁盘，请停止服务后运行 `onepool repair --only space`。";
        no_room_to_rewrite(free: &str): "The database has empty room, but to write it anew takes twice its size, and {free} are left on the disk." / "数据库有空闲空间，但重写需要两倍于其大小的空间，而磁盘仅剩 {free}。";
        log_small(size: &str): "The database's write-ahead log has {size}." / "数据库的预写日志大小为 {size}。";
        log_large(size: &str): "The database's write-ahead log has grown to {size}." / "数据库的预写日志已增至 {size}。";
        log_emptied(size: &str): "The database's write-ahead log ({size}) was copied into the database and emptied." / "数据库的预写日志（{size}）已写入数据库并清空。";
        log_copied(copied: u64, pages: u64): "{copied} of {pages} pages of the write-ahead log are in the database; somebody reads, so it is emptied later." / "预写日志的 {pages} 页中已有 {copied} 页写入数据库；有读取正在进行，稍后清空。";

        // Reload.
        not_reloaded: "A look reads nothing anew." / "仅检查时不重新加载。";
        reloaded(channels: usize, keys: usize, models: usize): "Read anew: {channels} channels, {keys} keys, {models} models." / "已重新加载：{channels} 个渠道、{keys} 个密钥、{models} 个模型。";
        reload_asked: "The server was asked to read everything anew." / "已请求服务重新加载全部内容。";
    }
}

impl Repair {
    /// A step's name.
    pub fn step(self, step: &str) -> &'static str {
        match step {
            "server" => self.step_server(),
            "keys" => self.step_keys(),
            "config" => self.step_config(),
            "stuck" => self.step_stuck(),
            "chains" => self.step_chains(),
            "space" => self.step_space(),
            _ => self.step_reload(),
        }
    }

    /// What a finding means, in a word or two.
    pub fn state(self, state: &str) -> &'static str {
        match state {
            "ok" => self.state_ok(),
            "fixed" => self.state_fixed(),
            "would_fix" => self.state_would_fix(),
            "needs_you" => self.state_needs_you(),
            _ => self.state_skipped(),
        }
    }
}
