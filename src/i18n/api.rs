//! Access tokens, and the frame of the page that documents the admin API.

use super::texts;

texts! {
    /// Access tokens on the account page and on the command line, and the page of the admin API. What endpoints do is
    /// described in English only, as programs read it.
    Api {
        title: "Admin API" / "管理 API";
        intro: "Everything that these pages do, for scripts: JSON over HTTP, with an access token from the account page." / "本站页面能完成的操作，脚本也都能完成：通过 HTTP 传输 JSON，使用账户页面创建的访问令牌。";
        described_in_english: "Names and descriptions below are in English, as in the OpenAPI document." / "以下名称和说明与 OpenAPI 文档一致，使用英文。";
        document: "OpenAPI document" / "OpenAPI 文档";
        first_try: "A first try" / "先试一下";
        first_try_text: "Errors are JSON with a stable code, a message, and every wrong field by name. Lists come in pages: send the answer’s next as cursor." / "错误以 JSON 返回，含固定的错误代码、说明以及每个有误字段的名称。列表分页返回：将响应中的 next 作为 cursor 再次请求即可。";
        contents: "Contents" / "目录";
        schemas: "Schemas" / "数据结构";
        parameters: "Parameters" / "参数";
        body: "Body" / "请求体";
        answers: "Answers" / "响应";
        example: "Example" / "示例";
        name: "Name" / "名称";
        place: "In" / "位置";
        kind: "Type" / "类型";
        required: "required" / "必填";
        description: "Description" / "说明";
        status: "Status" / "状态码";
        see_page: "Admin API: what scripts can do with it" / "管理 API：脚本可以做什么";
        settings_link: "Scripts change the same settings through the admin API." / "脚本可通过管理 API 修改同样的设置。";

        access_tokens: "Access tokens" / "访问令牌";
        access_tokens_text: "For scripts that use the admin API. An access token may do nearly everything that you may; it never reads upstream keys." / "供使用管理 API 的脚本使用。访问令牌几乎拥有您的全部权限，但无法读取上游密钥。";
        no_access_tokens: "No access tokens yet." / "尚无访问令牌。";
        last_four: "Value" / "值";
        created: "Created" / "创建时间";
        expires: "Expires" / "过期时间";
        last_used: "Last used" / "最近使用";
        never: "never" / "永不";
        never_used: "not yet" / "从未";
        expired: "expired" / "已过期";
        revoke_of(name: &str): "Revoke: {name}" / "吊销：{name}";
        revoke_sure(name: &str): "Scripts that use “{name}” get 401 at once. A revoked access token cannot be brought back." / "使用“{name}”的脚本会立即收到 401。已吊销的访问令牌无法恢复。";
        revoke_yes: "Yes, revoke" / "确认吊销";
        revoke: "Revoke" / "吊销";
        revoked(name: &str): "The access token “{name}” is revoked." / "访问令牌“{name}”已吊销。";
        new_title: "New access token" / "新建访问令牌";
        expires_days: "Expires after" / "有效期";
        days_7: "7 days" / "7 天";
        days_30: "30 days" / "30 天";
        days_90: "90 days" / "90 天";
        days_365: "1 year" / "1 年";
        name_taken: "You have an access token of this name; choose another." / "已有同名的访问令牌，请换一个名称。";
        too_many(most: usize): "There are {most} access tokens already; revoke one first." / "访问令牌已达 {most} 个，请先吊销一个。";
        made_title: "Your new access token" / "新的访问令牌";
        made_text: "Copy it now: it is not shown again." / "请立即复制：之后不再显示。";
        password_hint: "Your password, because an access token can do a lot." / "访问令牌权限较大，请输入您的密码以确认。";
        confirm_wrong: "This is not your password." / "密码不正确。";

        about: "Make, list or revoke access tokens for the admin API; works while the server runs" / "创建、列出或吊销管理 API 的访问令牌；服务运行时也可使用";
        about_name: "What to call it" / "访问令牌的名称";
        about_expires: "It ends after this many days; without this it does not end" / "多少天后过期；不指定则永不过期";
        about_account: "The account that it acts for; not needed if there is only one" / "所属账户；只有一个账户时可省略";
        about_list: "List the account’s access tokens" / "列出该账户的访问令牌";
        about_revoke: "Revoke the access token of this name" / "吊销此名称的访问令牌";
        about_json: "Print JSON" / "以 JSON 输出";
        cli_keep: "Keep it secret; it is not shown again." / "请妥善保管，之后不再显示。";
        cli_taken(name: &str): "there is an access token {name} already: choose another --name, or --revoke it first" / "访问令牌 {name} 已存在：请用 --name 指定其他名称，或先用 --revoke 吊销";
        cli_too_many(most: usize): "the account has {most} access tokens already; revoke one with --revoke" / "该账户已有 {most} 个访问令牌；请先用 --revoke 吊销一个";
        cli_no_such(name: &str, names: &str): "there is no access token {name}; there are: {names}" / "访问令牌 {name} 不存在；现有：{names}";
        cli_name_wrong(most: usize): "--name takes 1 to {most} characters" / "--name 须为 1 到 {most} 个字符";
        cli_expires_wrong(most: i64): "--expires-days takes a whole number from 1 to {most}" / "--expires-days 须为 1 到 {most} 的整数";
        cli_revoked(name: &str): "revoked {name}" / "已吊销 {name}";
    }
}
