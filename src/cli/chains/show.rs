//! `onepool chains list` and `show`.

use serde_json::Value;

use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, facts, list as json_list, tell},
        session::{Session, on_folder},
        view,
    },
    i18n::Messages,
    model::{
        catalog::Catalog,
        chain::{Chain, ChainStep},
        id::ChainId,
    },
    storage::StorageError,
};

/// `onepool chains list`.
pub fn list(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (m, catalog) = (call.m, session.catalog().await?);
        let json: Vec<Value> = catalog.chains().map(|chain| view::chain(chain, &catalog)).collect();
        tell(call, &json_list(json), || {
            let mut table = Table::new([m.common.name(), m.common.status(), m.chains.steps()]);
            for chain in catalog.chains() {
                let models: Vec<&str> = chain.steps.iter().map(|step| step.model.as_str()).collect();
                table.row([
                    Cell::text(&chain.name),
                    state_cell(m, chain, &catalog),
                    Cell::text(models.join(" → ")),
                ]);
            }
            if catalog.chains().next().is_none() { m.terminal.no_chains().to_owned() } else { table.draw() }
        })
    })
}

/// `onepool chains show NAME`.
pub fn one(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let chain = session.chain(call.required("NAME")).await?;
        tell_chain(call, session, chain.id).await
    })
}

/// Shows a chain as it is now.
pub async fn tell_chain(call: &Invocation<'_>, session: &Session, id: ChainId) -> Result<(), Failure> {
    let (m, catalog) = (call.m, session.catalog().await?);
    let chain = catalog.chain(id).ok_or(Failure::Storage(StorageError::Missing))?;
    tell(call, &view::chain(chain, &catalog), || {
        let t = m.chains;
        let head = facts(&[
            (m.common.name(), Cell::text(&chain.name)),
            (m.common.status(), state_cell(m, chain, &catalog)),
        ]);
        let mut table = Table::new([t.step(), t.model(), t.spill(), m.common.status()]);
        for (number, step) in (1..).zip(&chain.steps) {
            let number: usize = number;
            let served = catalog.serves_step(&chain.name, &step.model);
            table.row([
                Cell::number(number.to_string()),
                Cell::text(&step.model),
                Cell::number(spill_text(step)),
                if served { Cell::text("") } else { Cell::text(t.not_served()).look(Look::Doubtful) },
            ]);
        }
        let mut text = format!("{head}\n\n{}", table.draw());
        let resolved = catalog.resolved(id).unwrap_or_default();
        if !resolved.is_empty() {
            let models: Vec<&str> = resolved.iter().map(|step| step.model.as_str()).collect();
            text.push_str(&format!("\n\n{}", facts(&[(t.order(), Cell::text(models.join(" → ")))])));
        }
        text
    })
}

fn spill_text(step: &ChainStep) -> String {
    crate::pool::input::Spill::of(step.spill_ms).to_string()
}

fn state_cell(m: Messages, chain: &Chain, catalog: &Catalog) -> Cell {
    let t = m.chains;
    let all_served = || chain.steps.iter().all(|step| catalog.serves_step(&chain.name, &step.model));
    let (text, look) = if !chain.enabled {
        (t.state_off(), Look::Dim)
    } else if catalog.resolved(chain.id).is_none() {
        (t.state_unserved(), Look::Bad)
    } else if !all_served() {
        (t.state_partly(), Look::Doubtful)
    } else {
        (t.state_on(), Look::Good)
    };
    Cell::text(text).look(look)
}
