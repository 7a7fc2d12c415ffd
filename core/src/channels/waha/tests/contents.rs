//! What is said: every kind of content.

use super::*;
use crate::channels::gateway::MediaFetch;
use crate::conversations::content::{Content, ContentType, MediaState};

#[track_caller]
fn recorded_message(name: &str) -> Option<InboundMessage> {
    recorded(name).map(|body| message_of(item(&line_one("session-one"), body)))
}

#[test]
fn case_02_images_with_and_without_caption() {
    let (Some(with), Some(without)) = (recorded_message("message_image_text"), recorded_message("message_image"))
    else {
        return;
    };
    let Content::Image { media, caption } = &with.content else { panic!("an image") };
    assert_eq!(media.mime.as_deref(), Some("image/jpeg"));
    assert_eq!(caption.as_deref(), Some("Mensagem de exemplo"));
    assert_eq!((media.height, media.width), (Some(1280), Some(720)));
    assert_eq!((media.state, media.size_bytes), (MediaState::Remote, Some(100_004)));
    let Content::Image { media: plain, caption: None } = &without.content else { panic!("an image without caption") };
    let sha256 = "12".repeat(32);
    assert_eq!((media.sha256.as_deref(), plain.sha256.as_deref()), (Some(sha256.as_str()), Some(sha256.as_str())));
    assert_ne!(with.channel_message_id, without.channel_message_id);
}

#[test]
fn case_03_signed_addresses_expire() {
    let Some(message) = recorded_message("message_image") else { return };
    let media = message.media_ref.expect("a file");
    assert_eq!(media.url_expires_at, Some(at("2025-01-01T13:00:00Z")));
    assert_eq!((media.fetch, media.error), (MediaFetch::Public, None));
}

#[test]
fn case_04_a_forwarded_sound_and_a_voice_note() {
    if let Some(message) = recorded_message("message_audio") {
        let Content::Audio { media, .. } = &message.content else { panic!("a sound") };
        assert_eq!(media.duration_ms, Some(4_000));
        assert_eq!(message.forward.map(|forward| forward.score), Some(2));
    }
    let media = json!({"hasMedia": true, "media": {"url": "https://media.example.com/a.oga", "mimetype": "audio/ogg; codecs=opus"}});
    let node = json!({"audioMessage": {"mimetype": "audio/ogg; codecs=opus", "seconds": 3, "PTT": true}});
    let voice = message(&inbound(node, media.clone()));
    let Content::Voice { media: recording, caption: None } = &voice.content else { panic!("a voice note") };
    assert_eq!((recording.duration_ms, voice.forward), (Some(3_000), None));
    let mut told = inbound(Value::Null, media);
    told["payload"]["_data"]["Info"]["MediaType"] = "ptt".into();
    assert_eq!(message(&told).content.content_type(), ContentType::Voice);
}

#[test]
fn case_05_documents() {
    if let Some(message) = recorded_message("message_document_pdf") {
        let Content::Document { media, caption: None } = &message.content else { panic!("a document") };
        assert_eq!(media.filename.as_deref(), Some("DOC-20250101-WA0001..pdf"));
        assert_eq!(message.media_ref.and_then(|media| media.pages), Some(56));
    }
    let node = json!({"documentMessage": {"mimetype": "image/heic", "title": "IMG_0001", "fileName": "IMG_0001.HEIC"}});
    let top = json!({"hasMedia": true, "media": {"url": "https://media.example.com/x.heic", "mimetype": "image/heic", "filename": "IMG_0001.HEIC"}});
    let heic = message(&inbound(node, top));
    let Content::Document { media, .. } = &heic.content else { panic!("a document") };
    assert_eq!((media.filename.as_deref(), media.mime.as_deref()), (Some("IMG_0001.HEIC"), Some("image/heic")));
    let wrapped = json!({"documentWithCaptionMessage": {"message": {"documentMessage": {"mimetype": "application/pdf", "title": "contrato", "caption": "Assine"}}}});
    let found =
        message(&inbound(wrapped, json!({"hasMedia": true, "media": {"url": "https://media.example.com/x.pdf"}})));
    let Content::Document { media, caption } = &found.content else { panic!("a document") };
    assert_eq!((media.filename.as_deref(), caption.as_deref()), (Some("contrato.pdf"), Some("Assine")));
}

#[test]
fn case_07_a_location() {
    let Some(message) = recorded_message("message_location") else { return };
    let Content::Location { location, live: false } = message.content else { panic!("a location") };
    assert_eq!((location.latitude, location.longitude), (-23.550519943237305, -46.63330841064453));
    assert_eq!((location.name, location.address), (None, None));
}

#[test]
fn case_08_a_contact_card() {
    let Some(message) = recorded_message("message_contact") else { return };
    assert_eq!(message.timestamp, at("2025-01-01T12:00:57Z"));
    let Content::Contact { cards } = message.content else { panic!("cards") };
    assert_eq!((cards.len(), cards[0].display_name.as_str()), (1, "Contact One Example"));
    assert_eq!(cards[0].phones[0].wid.as_deref(), Some("551190000001"));
    assert_eq!(cards[0].phones[0].raw, "+55 11 99000-0001");
    assert_eq!(cards[0].phones[0].phone.as_ref().map(|phone| phone.as_str()), Some("+5511990000001"));
    cards[0].check().expect("a whole card");
}

#[test]
fn case_09_an_advertisement_arrives_twice_as_one_message() {
    let (Some(any), Some(again)) = (recorded("message_fb_ads"), recorded("fb_ads_message")) else { return };
    let first = message_of(item(&line_two("session-one"), any));
    assert_eq!(first.content.content_type(), ContentType::Text);
    let ad = first.attribution.expect("an advertisement");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    assert_eq!(text(&ad.ad_source_id), "120000000000000001");
    assert_eq!((text(&ad.ad_source_app), text(&ad.ad_source_type)), ("instagram".into(), "ad".into()));
    assert_eq!((text(&ad.conversion_source), text(&ad.conversion_app)), ("ctwa_ad".into(), "instagram".into()));
    assert_eq!((text(&ad.external_source), text(&ad.external_medium)), ("FB_Ads".into(), "unavailable".into()));
    assert_eq!((text(&ad.ctwa_clid).len(), text(&ad.headline)), (136, "ANÚNCIO DE EXEMPLO".into()));
    assert_eq!(first.metadata["ad_media_type"], 2);
    let second = message_of(item(&line_two("session-three"), again));
    assert_eq!(second.channel_message_id, first.channel_message_id);
}

#[test]
fn case_27_an_image_that_was_not_downloaded() {
    let node = json!({"imageMessage": {"mimetype": "image/jpeg", "height": 10, "width": 20}});
    let message = message(&inbound(node, json!({"hasMedia": true, "media": null})));
    let Content::Image { media, .. } = &message.content else { panic!("an image") };
    assert_eq!((media.state, media.url.as_deref(), media.width), (MediaState::Pending, None, Some(20)));
    let how = message.media_ref.expect("a file");
    assert_eq!((how.error.as_deref(), how.fetch), (Some("not_downloaded"), MediaFetch::ByProviderId));
    assert_eq!(how.provider_media_id.as_deref(), message.metadata["waha_id"].as_str());
}

#[test]
fn only_the_gateway_s_own_files_are_fetched_with_its_key() {
    let mut context = line_one("session-one");
    context.base_urls = vec!["https://waha.example.com/".into()];
    let fetch = |url: &str| {
        let body = inbound(json!({"imageMessage": {}}), json!({"hasMedia": true, "media": {"url": url}}));
        message_of(item(&context, body.to_string())).media_ref.expect("a file").fetch
    };
    assert_eq!(fetch("https://waha.example.com/api/files/a.jpg"), MediaFetch::GatewayAuth);
    assert_eq!(fetch("https://waha.example.com.evil.example/api/files/a.jpg"), MediaFetch::Public);
    assert_eq!(fetch("https://waha.example.com/a.jpg?X-Amz-Signature=0"), MediaFetch::Public);
}

#[test]
fn inline_files_encrypted_copies_and_big_thumbnails_are_not_kept() {
    let node = json!({"imageMessage": {"URL": "https://cdn.example.com/a.enc", "mediaKey": "S0VZ",
        "directPath": "/v/a.enc", "JPEGThumbnail": "A".repeat(40_000)}});
    let top = json!({"hasMedia": true, "media": {"data": "SU5MSU5F", "mimetype": "image/jpeg", "error": {"message": "boom"}}});
    let found = message(&inbound(node, top));
    assert_eq!(found.content.media().map(|media| media.state), Some(MediaState::Unavailable));
    let text = serde_json::to_string(&found).expect("writes");
    for kept in ["SU5MSU5F", "a.enc", "S0VZ", "AAAAAAAA"] {
        assert!(!text.contains(kept), "{kept} in {text}");
    }
    assert!(text.contains("boom"));
}

#[test]
fn kinds_by_node() {
    for (node, kind) in [
        (json!({"videoMessage": {"mimetype": "video/mp4", "gifPlayback": true}}), ContentType::Video),
        (json!({"liveLocationMessage": {"degreesLatitude": "1.5", "degreesLongitude": "2"}}), ContentType::Location),
        (json!({"pollCreationMessageV3": {"name": "Qual?"}}), ContentType::Unsupported),
        (json!({"eventMessage": {"name": "Festa"}}), ContentType::Unsupported),
        (json!({"orderMessage": {}}), ContentType::Unsupported),
        (json!({"listResponseMessage": {"title": "Bolo"}}), ContentType::Text),
        (json!({"buttonsResponseMessage": {"Response": {"SelectedDisplayText": "Sim"}}}), ContentType::Text),
        (json!({"locationMessage": {"degreesLatitude": 91, "degreesLongitude": 2}}), ContentType::Unsupported),
        (json!({"viewOnceMessageV2": {"message": {"imageMessage": {}}}}), ContentType::Image),
    ] {
        let found = message(&inbound(node.clone(), json!({})));
        assert_eq!(found.content.content_type(), kind, "{node}");
    }
    let poll = message(&inbound(json!({"pollCreationMessage": {}}), json!({"body": "Qual?"})));
    assert_eq!(poll.content, Content::Unsupported { raw_type: "pollCreationMessage".into() });
    let once = message(&inbound(
        json!({"ephemeralMessage": {"message": {"viewOnceMessage": {"message": {"imageMessage": {}}}}}}),
        json!({}),
    ));
    assert!(once.view_once && once.ephemeral);
    let edited = json!({"editedMessage": {"message": {"conversation": "13h"}}});
    assert_eq!(message(&inbound(edited, json!({}))).metadata["edited"], true);
}

#[test]
fn kinds_by_the_normalised_fields() {
    let media = |mime: &str| json!({"hasMedia": true, "media": {"url": "https://m.example.com/x", "mimetype": mime}});
    for (top, kind) in [
        (json!({"vCards": ["BEGIN:VCARD\nFN:Ana\nEND:VCARD"]}), ContentType::Contact),
        (
            json!({"location": {"latitude": "-23.5", "longitude": "-46.6", "description": "Praça\nRua 1"}}),
            ContentType::Location,
        ),
        (media("image/webp"), ContentType::Sticker),
        (media("image/png"), ContentType::Image),
        (media("video/mp4"), ContentType::Video),
        (media("audio/mpeg"), ContentType::Audio),
        (media("application/zip"), ContentType::Document),
        (json!({"hasMedia": true}), ContentType::Unsupported),
        (json!({"body": "Oi"}), ContentType::Text),
        (json!({}), ContentType::Unsupported),
    ] {
        let found = message(&inbound(Value::Null, top.clone()));
        assert_eq!(found.content.content_type(), kind, "{top}");
    }
    let place = json!({"location": {"latitude": "-23.5", "longitude": "-46.6", "description": "Praça\nRua 1"}});
    let Content::Location { location, .. } = message(&inbound(Value::Null, place)).content else { panic!("a place") };
    assert_eq!((location.name.as_deref(), location.address.as_deref()), (Some("Praça"), Some("Rua 1")));
}

#[test]
fn cards_of_all_writings() {
    let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Souza;Carlos;;Dr.;\r\nORG:Festas\\; Cia;Loja\r\nitem1.TEL;waid=5511990000003:+55 11\r\n  99000-0003\r\nTEL:tel:+1-650-253-0000\r\nEMAIL;TYPE=work:c@example.com\r\nEND:VCARD";
    let Content::Contact { cards } = message(&inbound(Value::Null, json!({"vCards": [text, "", 7]}))).content else {
        panic!("cards")
    };
    assert_eq!(cards.len(), 1);
    let card = &cards[0];
    assert_eq!((card.display_name.as_str(), card.company.as_deref()), ("Dr. Carlos Souza", Some("Festas; Cia")));
    assert_eq!(
        (card.phones[0].raw.as_str(), card.phones[0].wid.as_deref()),
        ("+55 11 99000-0003", Some("5511990000003"))
    );
    assert_eq!((card.phones[1].raw.as_str(), card.emails[0].as_str()), ("+1-650-253-0000", "c@example.com"));
    let many: Vec<Value> = (0..12).map(|i| json!({"displayName": format!("N{i}"), "vcard": text})).collect();
    let array = json!({"contactsArrayMessage": {"displayName": "12 contacts", "contacts": many}});
    let Content::Contact { cards } = message(&inbound(array, json!({}))).content else { panic!("cards") };
    assert_eq!((cards.len(), cards[9].display_name.as_str()), (10, "N9"));
}
