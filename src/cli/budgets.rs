//! `onepool budgets`: every budget of tokens, channels and keys, and what is spent of it.

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, verb},
    invocation::Invocation,
    output::{Cell, Look, Table, clean, tell},
    session::on_folder,
};
use crate::{
    i18n::Messages,
    model::{
        budget::{OwnerKind, Standing},
        token::QuotaUnit,
    },
    web::{
        api::budgets::BudgetList,
        format::{money, number},
    },
};

/// `onepool budgets`.
pub const ENTRY: Entry = Entry { name: "budgets", command, run };

fn command(m: Messages) -> Command {
    verb(ENTRY.name, m.help.budgets(), &["onepool budgets", "onepool budgets --json"], m)
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let m = call.m;
        let b = m.budgets;
        let catalog = session.catalog().await?;
        let budgets = session.db.budgets(&catalog, session.db.now()).await?;
        let view = BudgetList::of(&budgets);
        let json = serde_json::to_value(&view).map_err(|error| Failure::Text(error.to_string()))?;
        tell(call, &json, || {
            if budgets.is_empty() {
                return b.none().to_owned();
            }
            let mut table =
                Table::new([b.owner(), m.common.name(), b.state(), b.spent(), b.left(), b.starts_anew()]);
            for budget in &budgets {
                let anew = budget.resets_at.map(|at| session.local(at));
                table.row([
                    Cell::text(kind(m, budget)),
                    Cell::text(name(m, budget)),
                    state(m, budget),
                    Cell::text(
                        m.tokens.spent_of(
                            &amount(budget, budget.spent),
                            &with_unit(m, budget, budget.quota.limit),
                        ),
                    ),
                    Cell::text(with_unit(m, budget, budget.left())),
                    Cell::text(anew.unwrap_or_else(|| b.anew_never().to_owned())),
                ]);
            }
            table.draw()
        })
    })
}

fn kind(m: Messages, budget: &Standing) -> &'static str {
    match budget.owner.kind() {
        OwnerKind::Token => m.budgets.kind_token(),
        OwnerKind::Key => m.budgets.kind_key(),
        OwnerKind::Channel => m.budgets.kind_channel(),
    }
}

fn name(m: Messages, budget: &Standing) -> String {
    match &budget.channel {
        Some((_, channel)) => m.budgets.of_channel(&clean(&budget.name), &clean(channel)),
        None => budget.name.clone(),
    }
}

fn state(m: Messages, budget: &Standing) -> Cell {
    let b = m.budgets;
    match budget.level() {
        None => Cell::text(b.state_ok()).look(Look::Good),
        _ if budget.is_stopped() => Cell::text(b.state_used_up()).look(Look::Bad),
        _ if budget.left() == 0 => Cell::text(b.state_used_up_warns()).look(Look::Doubtful),
        Some(level) => Cell::text(b.state_warned(level)).look(Look::Doubtful),
    }
}

fn amount(budget: &Standing, count: i64) -> String {
    match budget.quota.unit {
        QuotaUnit::Dollars => money(count),
        QuotaUnit::Tokens | QuotaUnit::Requests => number(count),
    }
}

fn with_unit(m: Messages, budget: &Standing, count: i64) -> String {
    let bare = amount(budget, count);
    match budget.quota.unit {
        QuotaUnit::Dollars => bare,
        QuotaUnit::Tokens => format!("{bare} {}", m.token_form.unit_tokens()),
        QuotaUnit::Requests => format!("{bare} {}", m.token_form.unit_requests()),
    }
}
