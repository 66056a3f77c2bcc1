//! The login, and what is said of passwords elsewhere.

use super::texts;

texts! {
    /// The login, and what is said of passwords elsewhere.
    Login {
        title: "Log in" / "登录";
        submit: "Log in" / "登录";
        wrong: "The user name or the password is wrong." / "用户名或密码错误。";
        throttled(seconds: u64): "Too many tries. Please wait {seconds} s, then try again." / "尝试次数过多，请等待 {seconds} 秒后再试。";
        exposed: "This connection is not encrypted: what you type here can be read on its way. Use https, or an SSH tunnel to this machine." / "当前连接未加密，您输入的内容可能在传输途中被读取。请使用 https，或通过 SSH 隧道访问本机。";
        lost: "Password lost? Run “onepool admin reset-password” on the server." / "忘记密码？请在服务器上运行 “onepool admin reset-password”。";
        new_password: "New password" / "新密码";
        repeat_password: "The same password again" / "再次输入密码";
        password_hint(least: usize): "At least {least} characters. A few random words are a good password." / "至少 {least} 个字符。几个随机的词组合起来就是好密码。";
        password_too_short(least: usize): "Please choose at least {least} characters." / "请至少输入 {least} 个字符。";
        passwords_differ: "The two passwords differ. Please type both again." / "两次输入的密码不一致，请重新输入。";
    }
}
