//! Forgetting: what a commit takes back. Old versions of rows go with the next `VACUUM`, which the server runs by itself.

use crate::baselines;
use crate::events::list;
use crate::session::Call;
use crate::values::{instant, integer, sql, text};
use ventros::storage::{Baseline, ERASED_OUTCOME, Erasure, EventRewrite, Scope};

pub(crate) fn write(erasures: &[Erasure]) -> Vec<Call> {
    let mut calls = Vec::new();
    let rewritten: Vec<&EventRewrite> = erasures
        .iter()
        .filter_map(|erasure| match erasure {
            Erasure::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    if !rewritten.is_empty() {
        calls.push(events(&rewritten));
    }
    let kept: Vec<&Baseline> = erasures
        .iter()
        .filter_map(|erasure| match erasure {
            Erasure::Baseline(baseline) => Some(baseline),
            _ => None,
        })
        .collect();
    if !kept.is_empty() {
        calls.push(baselines::put(&kept));
    }
    for erasure in erasures {
        if let Erasure::Events(removal) = erasure {
            calls.extend(baselines::remove_events(removal));
        }
    }
    calls.extend(erasures.iter().filter_map(|erasure| match erasure {
        Erasure::Event(_) | Erasure::Baseline(_) | Erasure::Events(_) => None,
        Erasure::Jobs { project_id, ids } => {
            let delete = "DELETE FROM @jobs WHERE project_id = $1 AND id = ANY($2::uuid[]) AND finished_at IS NOT NULL";
            Some(Call::new(delete, vec![sql(project_id.uuid()), sql(ids.clone())]))
        }
        Erasure::Outcomes { scope, texts } => {
            let texts: Vec<String> = texts.iter().map(|one| text(one)).collect();
            let mut values = vec![sql(ERASED_OUTCOME), sql(texts)];
            let update = "UPDATE @idempotency_keys SET result = $1
                WHERE EXISTS (SELECT 1 FROM unnest($2::text[]) AS t (text) WHERE strpos(result, t.text) > 0)";
            Some(match scope {
                Scope::Project(project) => {
                    values.push(sql(project.uuid()));
                    Call { sql: format!("{update} AND scope = $3").into(), values }
                }
                Scope::Installation => Call::new(update, values),
            })
        }
    }));
    calls
}

fn events(rewritten: &[&EventRewrite]) -> Call {
    let update = "UPDATE @events AS e
        SET schema_version = n.version, data = n.data::json, metadata = NULL, redacted_at = n.at
        FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::text[], $5::timestamptz[]) AS n (project_id, seq, version, data, at)
        WHERE e.project_id = n.project_id AND e.seq = n.seq";
    let values = vec![
        list(rewritten, |event| event.project_id.uuid()),
        list(rewritten, |event| integer(event.seq)),
        list(rewritten, |event| i64::from(event.schema_version)),
        list(rewritten, |event| event.data.get().to_owned()),
        list(rewritten, |event| instant(event.redacted_at)),
    ];
    Call::new(update, values)
}
