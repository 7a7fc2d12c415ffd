//! The acceptance cases of members.

use super::*;
use std::collections::BTreeSet;
use ventros::channels::channel::commands::CreateChannel;
use ventros::conversations::chat::queries::Inbox;
use ventros::conversations::inbound::Ingest;
use ventros::conversations::message::Message;
use ventros::conversations::message::queries::{CountMessages, FindMessage, GetMessage, ListMessages, SearchMessages};
use ventros::conversations::session::commands::AssignSession;
use ventros::conversations::session::queries::{CountSessions, GetSession, ListSessions, SessionQueue, SessionStats};
use ventros::kernel::{ChannelId, Component, MemberId, PermissionSet, SecretText};
use ventros::storage::PageRequest;
use ventros::tenancy::project::commands::{TransferOwnership, UpdateProject};
use ventros::tenancy::project_member::commands::*;
use ventros::tenancy::project_member::queries::*;
use ventros::tenancy::project_member::{MemberStatus, RemovalReason};
use ventros::tenancy::user::commands::{CreateApiKey, DeleteUser, SuspendUser, VerifyUserEmail};

/// A project with its owner.
fn shop(world: &World) -> (Project, User) {
    let owner = user(world, "owner@acme.com");
    (project_of(world, &owner, "Acme"), owner)
}

fn joined(world: &World, project: &Project, email: &str, role: MemberRole) -> (User, ProjectMember) {
    let user = user(world, email);
    let member = member(world, project, &user, role);
    (user, member)
}

fn of(world: &World, project: &Project, user: &User) -> ProjectMember {
    let find = FindMember { user_id: user.id };
    ask(world, project.id, ActorRef::system(Component::Host), find).unwrap().unwrap()
}

fn update(world: &World, project: &Project, actor: &User, id: MemberId, change: Value) -> Result<ProjectMember> {
    let mut input = change;
    input["id"] = json!(id);
    inside::<UpdateMember>(world, project.id, ActorRef::user(actor.id), input)
}

fn remove(world: &World, project: &Project, actor: &User, id: MemberId) -> Result<ProjectMember> {
    inside::<RemoveMember>(world, project.id, ActorRef::user(actor.id), json!({ "id": id }))
}

#[track_caller]
fn holds(world: &World, project: &Project, user: &User, yes: &[Permission], no: &[Permission]) {
    for permission in yes {
        assert_eq!(check(world, project.id, ActorRef::user(user.id), *permission), None, "{permission}");
    }
    for permission in no {
        let found = check(world, project.id, ActorRef::user(user.id), *permission);
        assert_eq!(found, Some(ErrorCode::PermissionDenied), "{permission}");
    }
}

#[test]
fn case_01_the_founder_is_the_first_administrator() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let member = of(&world, &project, &owner);
    assert_eq!((member.role, member.status), (MemberRole::Admin, MemberStatus::Active));
    let all = events(&world, project.id);
    let data: Value = serde_json::from_str(all[2].data.get()).unwrap();
    assert_eq!(data["via"], "project_creation");
    assert_eq!(all.iter().map(|event| event.correlation_id).collect::<BTreeSet<_>>().len(), 1);
    world.assert_log_matches();
}

#[test]
fn case_02_a_person_belongs_once_and_can_come_back() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (v, first) = joined(&world, &project, "v@acme.com", MemberRole::Agent);
    let add = json!({"user_id": v.id, "role": "agent"});
    let again = inside::<AddMember>(&world, project.id, ActorRef::user(owner.id), add.clone());
    refused(again, ErrorCode::MemberAlreadyExists);
    remove(&world, &project, &owner, first.id).unwrap();
    let second = inside::<AddMember>(&world, project.id, ActorRef::user(owner.id), add).unwrap();
    assert_ne!(second.id, first.id);
    world.assert_log_matches();
}

#[test]
fn case_03_roles_are_a_closed_list() {
    refused_at(
        parsed::<AddMember>(json!({"user_id": "0199d1c2-0000-7000-8000-000000000001", "role": "super_admin"})),
        ErrorCode::EnumUnknown,
        "role",
    );
}

#[test]
fn case_04_nobody_changes_oneself() {
    let world = World::new();
    let (project, _) = shop(&world);
    let (v, member) = joined(&world, &project, "v@acme.com", MemberRole::Agent);
    let change = json!({"role": "admin"});
    refused(update(&world, &project, &v, member.id, change.clone()), ErrorCode::PermissionDenied);
    let (w, member) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    refused(update(&world, &project, &w, member.id, json!({"role": "viewer"})), ErrorCode::CannotChangeSelf);
}

#[test]
fn case_05_the_owner_is_protected() {
    let world = World::new();
    let (project, u) = shop(&world);
    let (w, _) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    let of_u = of(&world, &project, &u);
    let (_, of_x) = joined(&world, &project, "x@acme.com", MemberRole::Admin);
    remove(&world, &project, &u, of_x.id).unwrap();
    refused(remove(&world, &project, &w, of_u.id), ErrorCode::OwnerMembershipProtected);
    let suspend = json!({"id": of_u.id});
    let suspended = inside::<SuspendMember>(&world, project.id, ActorRef::user(w.id), suspend);
    refused(suspended, ErrorCode::OwnerMembershipProtected);
    let leave = inside::<LeaveProject>(&world, project.id, ActorRef::user(u.id), json!({}));
    refused(leave, ErrorCode::OwnerMembershipProtected);
}

#[test]
fn case_06_protection_goes_with_the_project() {
    let world = World::new();
    let (project, u) = shop(&world);
    let (w, of_w) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    let of_u = of(&world, &project, &u);
    let transfer = json!({"new_owner_user_id": w.id});
    inside::<TransferOwnership>(&world, project.id, ActorRef::user(u.id), transfer).unwrap();
    update(&world, &project, &w, of_u.id, json!({"role": "supervisor"})).unwrap();
    update(&world, &project, &w, of_u.id, json!({"role": "admin"})).unwrap();
    let demoted = update(&world, &project, &u, of_w.id, json!({"role": "viewer"}));
    refused(demoted, ErrorCode::OwnerMembershipProtected);
    world.assert_log_matches();
}

#[test]
fn case_07_an_administrator_remains() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (w, of_w) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    host::<SuspendUser>(&world, json!({"id": owner.id, "reason": "payment"})).unwrap();
    let leave = inside::<LeaveProject>(&world, project.id, ActorRef::user(w.id), json!({}));
    refused(leave, ErrorCode::LastAdmin);
    let host = ActorRef::system(Component::Host);
    for change in
        [json!({"id": of_w.id, "role": "viewer"}), json!({"id": of_w.id, "access_expires_at": "2026-01-01T00:00:00Z"})]
    {
        refused(inside::<UpdateMember>(&world, project.id, host.clone(), change), ErrorCode::LastAdmin);
    }
    refused(inside::<SuspendMember>(&world, project.id, host, json!({"id": of_w.id})), ErrorCode::LastAdmin);
}

#[test]
fn case_08_of_two_who_remove_each_other_one_remains() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (w, of_w) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    let (x, of_x) = joined(&world, &project, "x@acme.com", MemberRole::Admin);
    host::<SuspendUser>(&world, json!({"id": owner.id, "reason": "payment"})).unwrap();
    let barrier = std::sync::Barrier::new(2);
    let race = |actor: &User, victim: MemberId| {
        barrier.wait();
        remove(&world, &project, actor, victim)
    };
    let outcomes = std::thread::scope(|scope| {
        let one = scope.spawn(|| race(&w, of_x.id));
        let other = scope.spawn(|| race(&x, of_w.id));
        [one.join().unwrap(), other.join().unwrap()]
    });
    let lost: Vec<ErrorCode> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(Error::code).collect();
    // Who comes second is told that nobody would remain or, after the first has gone through, that it is no member any more.
    assert!(matches!(lost[..], [ErrorCode::LastAdmin | ErrorCode::NotAMember]), "{lost:?}");
    world.assert_log_matches();
}

#[test]
fn case_08_every_change_of_a_member_moves_the_project() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let read = || {
        let query = ventros::tenancy::project::queries::GetProject {};
        ask(&world, project.id, ActorRef::system(Component::Host), query).unwrap()
    };
    let (_, of_w) = joined(&world, &project, "w@acme.com", MemberRole::Admin);
    let before = read();
    update(&world, &project, &owner, of_w.id, json!({"role": "viewer"})).unwrap();
    assert_eq!((read().revision, read().version), (before.revision + 1, before.version));
}

#[test]
fn case_09_a_supervisor_runs_the_work() {
    use Permission::*;
    let world = World::new();
    let (project, _) = shop(&world);
    let (supervisor, _) = joined(&world, &project, "s@acme.com", MemberRole::Supervisor);
    holds(&world, &project, &supervisor, &[CampaignsManage, ProjectView], &[MembersManage, ChannelsManage]);
}

#[test]
fn case_10_an_agent_serves_contacts() {
    use Permission::*;
    let world = World::new();
    let (project, _) = shop(&world);
    let (agent, _) = joined(&world, &project, "g@acme.com", MemberRole::Agent);
    holds(&world, &project, &agent, &[MessagesSend], &[ContactsExport, AnalyticsView, ProjectView, ContactsDelete]);
}

#[test]
fn case_11_a_viewer_looks() {
    use Permission::*;
    let world = World::new();
    let (project, _) = shop(&world);
    let (viewer, _) = joined(&world, &project, "v@acme.com", MemberRole::Viewer);
    holds(&world, &project, &viewer, &[AnalyticsView], &[MessagesSend, ContactsManage]);
}

#[test]
fn case_12_what_only_the_owner_has_is_not_granted() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (admin, member) = joined(&world, &project, "a@acme.com", MemberRole::Admin);
    holds(&world, &project, &admin, &[], &[Permission::BillingView]);
    holds(&world, &project, &owner, &[Permission::BillingView, Permission::ProjectDelete], &[]);
    update(&world, &project, &owner, member.id, json!({"granted": ["billing.view"]})).unwrap();
    holds(&world, &project, &admin, &[Permission::BillingView], &[]);
    let change = json!({"granted": ["project.delete"]});
    refused_at(update(&world, &project, &owner, member.id, change), ErrorCode::PermissionNotGrantable, "granted");
}

#[test]
fn case_13_nobody_grants_what_one_has_not() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (s, of_s) = joined(&world, &project, "s@acme.com", MemberRole::Supervisor);
    let (_, of_v) = joined(&world, &project, "v@acme.com", MemberRole::Viewer);
    update(&world, &project, &owner, of_s.id, json!({"granted": ["members.manage"]})).unwrap();
    let change = json!({"granted": ["channels.manage"]});
    refused(update(&world, &project, &s, of_v.id, change), ErrorCode::CannotGrantUnheld);
    refused(update(&world, &project, &s, of_v.id, json!({"role": "admin"})), ErrorCode::CannotGrantUnheld);
    update(&world, &project, &s, of_v.id, json!({"role": "agent"})).unwrap();
}

#[test]
fn case_14_what_is_denied_is_denied() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (g, of_g) = joined(&world, &project, "g@acme.com", MemberRole::Agent);
    let both = json!({"granted": ["notes.manage"], "denied": ["notes.manage"]});
    refused(update(&world, &project, &owner, of_g.id, both), ErrorCode::PermissionOverlap);
    update(&world, &project, &owner, of_g.id, json!({"denied": ["messages.send"]})).unwrap();
    holds(&world, &project, &g, &[Permission::NotesManage], &[Permission::MessagesSend]);
}

fn invite(world: &World, project: &Project, owner: &User, email: &str) -> Result<InvitedMember> {
    let input = json!({"email": email, "role": "agent", "ttl_days": 7});
    inside::<InviteMember>(world, project.id, ActorRef::user(owner.id), input)
}

#[test]
fn case_15_an_invitation_ends() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let x = user(&world, "x@y.com");
    host::<VerifyUserEmail>(&world, json!({"id": x.id, "email": "x@y.com"})).unwrap();
    let invited = invite(&world, &project, &owner, "x@y.com").unwrap();
    refused(invite(&world, &project, &owner, "x@y.com"), ErrorCode::InvitationAlreadyOpen);
    let ttl = json!({"email": "z@y.com", "role": "agent", "ttl_days": 31});
    let ttl = inside::<InviteMember>(&world, project.id, ActorRef::user(owner.id), ttl);
    refused_at(ttl, ErrorCode::InvitationTtlOutOfRange, "ttl_days");
    world.clock.advance_seconds(8 * 86_400);
    let accept = json!({"token": invited.token.as_str()});
    refused(as_user::<AcceptInvitation>(&world, x.id, accept), ErrorCode::InvitationExpired);
    block_on(world.crm.run_pending()).unwrap();
    let event = events(&world, project.id).pop().unwrap();
    let data: Value = serde_json::from_str(event.data.get()).unwrap();
    assert_eq!((event.event_type.as_str(), &data["reason"]), ("project_member.removed", &json!("invitation_expired")));
    world.assert_log_matches();
}

#[test]
fn case_16_an_invitation_is_for_one_person() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (x, z) = (user(&world, "x@y.com"), user(&world, "z@y.com"));
    let invited = invite(&world, &project, &owner, "x@y.com").unwrap();
    let accept = |user: &User, token: &str| as_user::<AcceptInvitation>(&world, user.id, json!({"token": token}));
    refused(accept(&z, &invited.token), ErrorCode::InvitationEmailMismatch);
    refused(accept(&x, &invited.token), ErrorCode::InvitationEmailMismatch);
}

#[test]
fn case_17_an_invitation_has_one_token() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (x, z) = (user(&world, "x@y.com"), user(&world, "z@y.com"));
    let invited = invite(&world, &project, &owner, "x@y.com").unwrap();
    let accept = |user: &User, token: &str| as_user::<AcceptInvitation>(&world, user.id, json!({"token": token}));
    host::<VerifyUserEmail>(&world, json!({"id": x.id, "email": "x@y.com"})).unwrap();
    let resend = json!({"id": invited.member.id});
    let resent = inside::<ResendInvitation>(&world, project.id, ActorRef::user(owner.id), resend.clone()).unwrap();
    refused_at(accept(&x, &invited.token), ErrorCode::InvitationNotFound, "token");
    let preview = block_on(world.crm.query(FindInvitation { token: SecretText::new(resent.token.as_str()) })).unwrap();
    assert_eq!((preview.project_name.as_str(), preview.role), ("Acme", MemberRole::Agent));
    let member = accept(&x, &resent.token).unwrap();
    assert_eq!((member.status, member.user_id), (MemberStatus::Active, Some(x.id)));
    refused(accept(&x, &resent.token), ErrorCode::InvitationNotFound);
    refused(invite(&world, &project, &owner, "x@y.com"), ErrorCode::MemberAlreadyExists);
    let other = invite(&world, &project, &owner, "z@y.com").unwrap();
    host::<VerifyUserEmail>(&world, json!({"id": z.id, "email": "z@y.com"})).unwrap();
    let declined = as_user::<DeclineInvitation>(&world, z.id, json!({"token": other.token.as_str()})).unwrap();
    assert_eq!(declined.removal_reason, Some(RemovalReason::InvitationDeclined));
    let again = inside::<ResendInvitation>(&world, project.id, ActorRef::user(owner.id), resend);
    refused(again, ErrorCode::InvalidState);
    let limited = invite(&world, &project, &owner, "l@y.com").unwrap();
    let resend =
        || inside::<ResendInvitation>(&world, project.id, ActorRef::user(owner.id), json!({"id": limited.member.id}));
    for _ in 0..10 {
        resend().unwrap();
    }
    refused(resend(), ErrorCode::InvitationResendLimit);
    world.assert_log_matches();
}

#[test]
fn case_18_access_ends_at_its_moment() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let v = user(&world, "v@acme.com");
    let add = |end: &str| {
        let input = json!({"user_id": v.id, "role": "agent", "access_expires_at": end});
        inside::<AddMember>(&world, project.id, ActorRef::user(owner.id), input)
    };
    refused_at(add("2025-01-06T09:00:00Z"), ErrorCode::AccessExpiryInPast, "access_expires_at");
    let member = add("2025-01-06T12:00:00Z").unwrap();
    holds(&world, &project, &v, &[Permission::ContactsView], &[]);
    world.clock.set("2025-01-06T12:00:01Z");
    let found = check(&world, project.id, ActorRef::user(v.id), Permission::ContactsView);
    assert_eq!(found, Some(ErrorCode::NotAMember));
    block_on(world.crm.run_pending()).unwrap();
    assert_eq!(of(&world, &project, &v).status, MemberStatus::Suspended);
    let reinstate = |input: Value| inside::<ReinstateMember>(&world, project.id, ActorRef::user(owner.id), input);
    refused(reinstate(json!({"id": member.id})), ErrorCode::AccessExpiryInPast);
    let back = reinstate(json!({"id": member.id, "access_expires_at": null})).unwrap();
    assert_eq!((back.status, back.access_expires_at), (MemberStatus::Active, None));
    world.assert_log_matches();
}

/// A message of a person whom nobody knew, and its session.
fn arrives(world: &World, project: &Project, channel: ChannelId, wid: &str, text: &str) -> Message {
    let person = json!({"wid": wid, "display_name": wid});
    let item = json!({"type": "message", "channel_message_id": format!("m-{wid}"), "from_me": false,
        "chat": {"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
        "sender": person, "peer": person, "timestamp": "2025-01-06T09:00:00Z",
        "content": {"type": "text", "body": text}});
    let host = ActorRef::system(Component::Host);
    inside::<Ingest>(world, project.id, host.clone(), json!({"channel_id": channel, "item": item})).unwrap();
    let find = json!({"channel_id": channel, "channel_message_id": format!("m-{wid}")});
    ask(world, project.id, host, serde_json::from_value::<FindMessage>(find).unwrap()).unwrap().unwrap()
}

#[test]
fn case_19_an_agent_sees_what_its_project_lets_it_see() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let host = ActorRef::system(Component::Host);
    let line = json!({"name": "Line", "type": "waha"});
    let channel = inside::<CreateChannel>(&world, project.id, host.clone(), line).unwrap().channel.id;
    let (v, _) = joined(&world, &project, "v@acme.com", MemberRole::Agent);
    let (s, _) = joined(&world, &project, "s@acme.com", MemberRole::Supervisor);
    let [own, other, free] = ["5511999990001", "5511999990002", "5511999990003"]
        .map(|wid| arrives(&world, &project, channel, wid, "orçamento"));
    for (message, agent) in [(&own, v.id.uuid()), (&other, s.id.uuid())] {
        let assign = json!({"id": message.session_id, "agent_id": agent});
        inside::<AssignSession>(&world, project.id, host.clone(), assign).unwrap();
    }
    let sees = |user: &User| {
        let actor = || ActorRef::user(user.id);
        let all = [&own, &other, &free];
        let list = ask(&world, project.id, actor(), ListSessions::default()).unwrap().items;
        let seen = all.map(|message| list.iter().any(|session| Some(session.id) == message.session_id));
        let session = all.map(|message| {
            let id = message.session_id.unwrap();
            let found = ask(&world, project.id, actor(), GetSession { id });
            assert!(found.as_ref().err().is_none_or(|error| error.code() == ErrorCode::SessionNotFound));
            found.is_ok()
        });
        let message = all.map(|message| {
            let found = ask(&world, project.id, actor(), GetMessage { id: message.id });
            assert!(found.as_ref().err().is_none_or(|error| error.code() == ErrorCode::MessageNotFound));
            found.is_ok()
        });
        let list = ask(&world, project.id, actor(), ListMessages::default()).unwrap().items;
        let listed = all.map(|message| list.iter().any(|found| found.id == message.id));
        let search = SearchMessages { text: "orcamento".to_owned(), filter: None, limit: None };
        let hits = ask(&world, project.id, actor(), search).unwrap();
        let found = all.map(|message| hits.iter().any(|hit| hit.message.id == message.id));
        assert!([session, message, listed, found].iter().all(|way| *way == seen), "every way shows the same");
        let count = seen.iter().filter(|seen| **seen).count() as u64;
        assert_eq!(ask(&world, project.id, actor(), CountSessions::default()).unwrap(), count);
        assert_eq!(ask(&world, project.id, actor(), CountMessages::default()).unwrap(), count);
        assert_eq!(ask(&world, project.id, actor(), SessionStats {}).unwrap().total, count);
        let queue = ask(&world, project.id, actor(), SessionQueue::default()).unwrap();
        assert_eq!(queue.len() as u64, count);
        let inbox = ask(&world, project.id, actor(), Inbox::default()).unwrap().items;
        assert_eq!(inbox.len(), 3, "chats are visible");
        assert_eq!(inbox.iter().filter(|entry| entry.active_session_id.is_some()).count() as u64, count);
        seen
    };
    assert_eq!(sees(&v), [true, true, true], "the project lets everybody see everything");
    let set = |visibility: &str| {
        let change = json!({"session_visibility": visibility});
        inside::<UpdateProject>(&world, project.id, ActorRef::user(owner.id), change).unwrap();
    };
    set("own");
    assert_eq!(sees(&v), [true, false, false]);
    set("unassigned_and_own");
    assert_eq!(sees(&v), [true, false, true]);
    assert_eq!((sees(&s), sees(&owner)), ([true; 3], [true; 3]));
    let hand_over = json!({"id": own.session_id, "agent_id": s.id.uuid(), "reason": "shift ends"});
    inside::<AssignSession>(&world, project.id, host, hand_over).unwrap();
    assert_eq!(sees(&v), [true, false, true], "who had a session goes on seeing it");
}

#[test]
fn case_20_agents_see_all_sessions_where_the_project_says_so() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (g, _) = joined(&world, &project, "g@acme.com", MemberRole::Agent);
    holds(&world, &project, &g, &[Permission::SessionsViewAll], &[]);
    let own = json!({"session_visibility": "own"});
    inside::<UpdateProject>(&world, project.id, ActorRef::user(owner.id), own).unwrap();
    holds(&world, &project, &g, &[], &[Permission::SessionsViewAll]);
}

#[test]
fn case_21_a_member_of_one_project_is_nobody_in_another() {
    let world = World::new();
    let (_, owner) = shop(&world);
    let other = user(&world, "other@acme.com");
    let b = project_of(&world, &other, "Other");
    let rename = inside::<UpdateProject>(&world, b.id, ActorRef::user(owner.id), json!({"name": "Mine"}));
    refused(rename, ErrorCode::NotAMember);
}

#[test]
fn case_22_components_have_fixed_rights() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let add = json!({"user_id": owner.id, "role": "agent"});
    let added = inside::<AddMember>(&world, project.id, ActorRef::system(Component::Broadcast), add);
    refused(added, ErrorCode::PermissionDenied);
    assert!(!Permission::BillingView.is_grantable_to_agent());
}

#[test]
fn case_23_permissions_are_stored_under_their_new_names() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (_, of_v) = joined(&world, &project, "v@acme.com", MemberRole::Viewer);
    let changed = update(&world, &project, &owner, of_v.id, json!({"granted": ["settings.manage"]})).unwrap();
    assert_eq!(changed.granted, PermissionSet::of(&[Permission::ProjectManage]));
}

#[test]
fn case_24_unknown_permissions_are_denied() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (_, of_v) = joined(&world, &project, "v@acme.com", MemberRole::Viewer);
    refused(Permission::parse("contacts.fly"), ErrorCode::PermissionUnknown);
    let fly = update(&world, &project, &owner, of_v.id, json!({"granted": ["contacts.fly"]}));
    refused_at(fly, ErrorCode::PermissionUnknown, "granted[0]");
}

#[test]
fn case_25_an_expected_version_is_kept() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (_, of_v) = joined(&world, &project, "v@acme.com", MemberRole::Viewer);
    let change = |role: &str| {
        let mut context = Context::new(Some(project.id), ActorRef::user(owner.id));
        context.expected_version = Some(of_v.version);
        let command = parsed::<UpdateMember>(json!({"id": of_v.id, "role": role})).unwrap();
        block_on(world.crm.execute_in(context, command))
    };
    change("agent").unwrap();
    refused(change("supervisor"), ErrorCode::VersionConflict);
}

#[test]
fn listing_by_role_shows_administrators_first() {
    let world = World::new();
    let (project, owner) = shop(&world);
    for (email, role) in
        [("v@a.com", MemberRole::Viewer), ("s@a.com", MemberRole::Supervisor), ("g@a.com", MemberRole::Agent)]
    {
        joined(&world, &project, email, role);
    }
    let page: PageRequest = serde_json::from_value(json!({"sort": ["role"]})).unwrap();
    let listed = ask(&world, project.id, ActorRef::user(owner.id), ListMembers { page }).unwrap();
    let roles: Vec<_> = listed.items.iter().map(|member| member.role).collect();
    assert_eq!(roles, MemberRole::ALL);
    let filter = serde_json::from_value(json!({"field": "role", "op": "eq", "value": "viewer"})).unwrap();
    let count = ask(&world, project.id, ActorRef::user(owner.id), CountMembers { filter: Some(filter) }).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_deleted_user_leaves_its_projects() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (v, of_v) = joined(&world, &project, "v@acme.com", MemberRole::Agent);
    host::<DeleteUser>(&world, json!({"id": v.id, "reason": "admin"})).unwrap();
    block_on(world.crm.run_pending()).unwrap();
    let gone = ask(&world, project.id, ActorRef::user(owner.id), GetMember { id: of_v.id });
    refused(gone, ErrorCode::MemberNotFound);
    world.assert_log_matches();
}

#[test]
fn keys_of_a_project_are_seen_and_revoked_by_its_administrators() {
    let world = World::new();
    let (project, owner) = shop(&world);
    let (v, _) = joined(&world, &project, "v@acme.com", MemberRole::Agent);
    let bound = as_user::<CreateApiKey>(&world, v.id, json!({"name": "CI", "project_id": project.id})).unwrap();
    let free = as_user::<CreateApiKey>(&world, v.id, json!({"name": "Own"})).unwrap();
    let keys = ask(&world, project.id, ActorRef::user(owner.id), ListMemberApiKeys {}).unwrap();
    assert_eq!(keys.iter().map(|key| key.api_key.id).collect::<Vec<_>>(), [bound.api_key.id]);
    let revoke = |id| {
        let input = json!({"user_id": v.id, "api_key_id": id});
        inside::<RevokeMemberApiKey>(&world, project.id, ActorRef::user(owner.id), input)
    };
    refused(revoke(free.api_key.id), ErrorCode::ApiKeyNotFound);
    assert!(revoke(bound.api_key.id).unwrap().revoked_at.is_some());
}
