//! The account page.

use super::texts;

texts! {
    /// The account page: preferences, password, sessions.
    Account {
        title: "Account" / "账户";
        logged_in_as(name: &str): "You are logged in as {name}." / "当前登录账户：{name}。";
        preferences: "Language and theme" / "语言与主题";
        preferences_hint: "They follow your account to every browser." / "随账户保存，在任何浏览器中登录都会生效。";
        password_text: "Changing the password ends all of your other sessions." / "修改密码会结束您的所有其他会话。";
        change_password: "Change password" / "修改密码";
        must_change: "This password was made by “admin reset-password”. Please choose your own before you go on." / "当前密码由 “admin reset-password” 生成，请先设置您自己的密码。";
        current_password: "Current password" / "当前密码";
        current_wrong: "This is not your current password." / "当前密码不正确。";
        same_password: "This is your current password; please choose another." / "新密码与当前密码相同，请换一个。";
        password_changed: "The password is changed; all other sessions have ended." / "密码已修改，所有其他会话均已结束。";
        sessions: "Sessions" / "会话";
        sessions_hint(idle_days: u64, lifetime_days: u64): "A session ends after {idle_days} days without use, and {lifetime_days} days after its login." / "会话在 {idle_days} 天未使用后结束，登录满 {lifetime_days} 天后也会结束。";
        browser: "Browser" / "浏览器";
        address: "Address" / "地址";
        logged_in_at: "Logged in" / "登录时间";
        seen_at: "Last used" / "最近使用";
        this_session: "this one" / "当前会话";
        end_session: "End" / "结束";
        end_others: "End all others" / "结束其他全部会话";
        session_ended: "The session has ended." / "会话已结束。";
        sessions_ended: "All other sessions have ended." / "其他会话均已结束。";
        browser_on(browser: &str, system: &str): "{browser} on {system}" / "{system} 上的 {browser}";
        unknown_browser: "unknown" / "未知";
    }
}
