//! Words that many pages share.

use super::texts;

texts! {
    /// Words that many pages share: navigation, buttons, states, errors.
    Common {
        product: "OnePool" / "OnePool";
        skip_to_content: "Skip to content" / "跳到正文";
        nav_label: "Main" / "主导航";
        nav_overview: "Overview" / "概览";
        nav_channels: "Channels" / "渠道";
        nav_models: "Models" / "模型";
        nav_ranking: "Ranking" / "模型排名";
        nav_chains: "Chains" / "回退链";
        nav_tokens: "Tokens" / "令牌";
        nav_playground: "Playground" / "操练场";
        nav_log: "Usage log" / "用量日志";
        nav_usage: "Usage" / "用量";
        nav_capacity: "Capacity" / "容量";
        nav_health: "Health" / "健康状况";
        nav_openclaw: "OpenClaw" / "OpenClaw";
        nav_settings: "Settings" / "设置";
        nav_account: "Account" / "账户";
        log_out: "Log out" / "退出登录";
        theme: "Theme" / "主题";
        theme_system: "System" / "跟随系统";
        theme_light: "Light" / "浅色";
        theme_dark: "Dark" / "深色";
        language: "Language" / "语言";
        save: "Save" / "保存";
        cancel: "Cancel" / "取消";
        create: "Create" / "创建";
        edit: "Edit" / "编辑";
        delete: "Delete" / "删除";
        confirm_delete: "Yes, delete" / "确认删除";
        back: "Back" / "返回";
        copy: "Copy" / "复制";
        copied: "Copied" / "已复制";
        test: "Test" / "测试";
        name: "Name" / "名称";
        note: "Note" / "备注";
        status: "Status" / "状态";
        actions: "Actions" / "操作";
        enabled: "On" / "启用";
        disabled: "Off" / "停用";
        switch_on: "Switch on" / "启用";
        switch_off: "Switch off" / "停用";
        optional: "optional" / "选填";
        none: "none" / "无";
        all: "all" / "全部";
        yes: "Yes" / "是";
        no: "No" / "否";
        unknown: "unknown" / "未知";
        clear_filters: "Clear filters" / "清除筛选";
        filter: "Filter" / "筛选";
        apply: "Apply" / "应用";
        previous_page: "Previous" / "上一页";
        next_page: "Next" / "下一页";
        password: "Password" / "密码";
        username: "User name" / "用户名";
        saved: "Saved." / "已保存。";
        deleted: "Deleted." / "已删除。";
        check_fields: "Some fields need a look; nothing was saved." / "有字段需要修改，尚未保存任何内容。";
        field_required: "Please fill this in." / "请填写此项。";
        field_too_long(max: usize): "At most {max} characters." / "最多 {max} 个字符。";
        field_taken: "This name is taken; choose another." / "名称已被占用，请换一个。";
        field_not_a_number: "Please enter a whole number." / "请输入整数。";
        field_out_of_range(min: i64, max: i64): "Please enter a number from {min} to {max}." / "请输入 {min} 到 {max} 之间的数字。";
        not_found_title: "Not found" / "页面不存在";
        not_found_text: "There is no page at this address, or what it showed was deleted." / "该地址没有页面，或其内容已被删除。";
        error_title: "Something went wrong" / "出错了";
        error_text: "The server could not do this. The log has the details under the request id." / "服务器未能完成此操作。日志中可按请求编号查看详情。";
        forbidden_title: "Not allowed" / "不允许";
        forbidden_text: "The request came from another site, or is missing its origin. Open the page again and retry." / "请求来自其他站点或缺少来源信息。请重新打开页面后再试。";
        alarm_journal(detail: &str): "The usage log cannot be written: rows wait in memory, and new calls will be refused once it is full. Free disk space or repair the data folder. ({detail})" / "用量日志无法写入：记录暂存在内存中，内存占满后将拒绝新调用。请释放磁盘空间或修复数据目录。（{detail}）";
        alarm_database(detail: &str): "Usage rows do not reach the database; they are kept in the journal and follow when it works again. ({detail})" / "用量记录暂时无法写入数据库；它们保存在日志文件中，恢复后会自动写入。（{detail}）";
        request_id: "Request id" / "请求编号";
        to_start: "To the start page" / "回到首页";
    }
}
