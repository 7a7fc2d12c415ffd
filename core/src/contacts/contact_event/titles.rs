//! Projected entries in words, in the languages that are shipped: English, and Portuguese as in Brazil.

use super::state::TimelineEntry;
use crate::kernel::Language;
use serde_json::{Map, Value};

/// Key, English, Portuguese. A name in braces is a key of the payload.
const TITLES: &[(&str, &str, &str)] = &[
    ("contact_created", "Contact {contact_name} created", "Contato {contact_name} criado"),
    ("contact_updated", "Contact changed: {fields}", "Contato alterado: {fields}"),
    ("profile_picture_updated", "Profile picture changed", "Foto do perfil alterada"),
    ("contact_blocked", "Contact blocked", "Contato bloqueado"),
    ("contact_unblocked", "Contact unblocked", "Contato desbloqueado"),
    ("contact_deleted", "Contact deleted", "Contato excluído"),
    ("contact_restored", "Contact restored", "Contato restaurado"),
    ("consent_changed", "Consent changed from {from} to {to}", "Consentimento alterado de {from} para {to}"),
    ("agent_assigned", "Agent assigned", "Atendente atribuído"),
    ("agent_transferred", "Handed over to another agent", "Transferido para outro atendente"),
    ("agent_unassigned", "Agent unassigned", "Atendente removido"),
    ("tag_added", "Tag {tag} added", "Etiqueta {tag} adicionada"),
    ("tag_removed", "Tag {tag} removed", "Etiqueta {tag} removida"),
    ("tags_cleared", "Tags removed: {tags}", "Etiquetas removidas: {tags}"),
    ("custom_field_set", "{key} set to {value}", "{key} definido como {value}"),
    ("custom_field_cleared", "{key} cleared", "{key} apagado"),
    ("contact_enriched", "Data added by {enrichment_source}", "Dados acrescentados por {enrichment_source}"),
    ("session_started", "Session started", "Atendimento iniciado"),
    ("session_ended", "Session ended", "Atendimento encerrado"),
    ("session_resolved", "Session resolved", "Atendimento resolvido"),
    ("session_escalated", "Session escalated", "Atendimento escalado"),
    ("call", "Call", "Ligação"),
    ("email_opened", "E-mail opened", "E-mail aberto"),
    ("link_clicked", "Link clicked", "Link clicado"),
    ("form_submitted", "Form submitted", "Formulário enviado"),
    ("page_visited", "Page visited", "Página visitada"),
    ("file_downloaded", "File downloaded", "Arquivo baixado"),
    ("purchase", "Purchase", "Compra"),
    ("meeting", "Meeting", "Reunião"),
    ("other", "Interaction", "Interação"),
];

/// Puts a projected entry into words; what somebody wrote down stays as it is.
pub(super) fn put_into_words(entry: &mut TimelineEntry, locale: Option<&Language>) {
    let Some(key) = &entry.title_key else { return };
    let is_portuguese = locale.is_some_and(|language| language.as_str().split('-').next() == Some("pt"));
    let title = match TITLES.iter().find(|(known, _, _)| known == key) {
        Some((_, _, portuguese)) if is_portuguese => fill(portuguese, &entry.payload),
        Some((_, english, _)) => fill(english, &entry.payload),
        None => key.replace('_', " "),
    };
    entry.title = Some(title);
}

fn fill(words: &str, payload: &Map<String, Value>) -> String {
    let mut filled = String::with_capacity(words.len() + 16);
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&told(payload.get(name)));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn told(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(|part| told(Some(part))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}
