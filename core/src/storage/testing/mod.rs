//! The conformance suite: the specification of the storage port as tests. An adapter supplies a [`Place`] and gets all of them.
//!
//! ```ignore
//! ventros::conformance_suite!(MyPlace::fresh());
//! ```

pub mod baselines;
pub mod consumers;
pub mod copying;
pub mod erasing;
pub mod events;
pub mod filters;
pub mod jobs;
pub mod keys;
pub mod life;
pub mod pages;
pub mod purging;
pub mod removals;
mod sample;
pub mod search;
pub mod secrets;
pub mod snapshots;

pub use sample::*;

use super::Storage;
use crate::testing::block_on;
use async_trait::async_trait;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Where a store keeps its data: a file, a database, a buffer. Dropping it removes the data.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the store here; the data of earlier handles is there, closed or not.
    async fn open(&self) -> Arc<dyn Storage>;
}

/// One test of the suite.
pub type Case = for<'p> fn(&'p dyn Place) -> Pin<Box<dyn Future<Output = ()> + 'p>>;

/// Runs one test on a fresh place.
pub fn run(case: Case, place: &dyn Place) {
    block_on(case(place));
}

/// Makes every test of the suite a `#[test]`; the argument is an expression that gives a fresh [`Place`] each time.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite!(@ $fresh;
            snapshots: get_finds_what_was_written, a_stale_write_changes_nothing, an_update_replaces_the_index,
                scan_walks_in_id_order, other_projects_are_invisible, a_refused_batch_leaves_nothing,
                many_ids_are_found_at_once, an_update_may_leave_columns_alone;
            keys: a_key_has_one_holder, holders_come_with_their_snapshots, a_key_changes_hands_in_one_commit, a_released_key_is_free, keys_are_scoped,
                a_global_key_is_unique_everywhere, a_stale_write_is_told_before_a_taken_key, racing_writers_share_a_key_once;
            removals: a_removed_snapshot_is_gone_with_all_that_is_derived, a_stale_removal_changes_nothing,
                a_removal_stays_in_its_project, a_key_passes_from_what_is_removed, what_is_removed_may_be_written_anew,
                many_are_removed_at_once, a_row_that_is_used_again_has_no_past;
            purging: a_purged_project_leaves_nothing_behind, a_purged_project_begins_anew;
            filters: every_operator_agrees_with_the_evaluator, random_filters_agree_with_the_evaluator,
                rows_are_found_by_what_they_refer_to, hidden_ones_are_found_only_when_asked_for, a_filter_cannot_leave_its_project, nothing_is_in_an_empty_list;
            pages: pages_neither_repeat_nor_skip, pages_lead_back, rows_written_between_pages_do_no_harm,
                missing_values_come_last, ties_are_broken_by_id, random_orders_agree_with_the_evaluator, totals_count_all;
            search: words_are_found_without_accents, every_word_is_needed, the_best_field_is_told,
                digits_of_a_phone_number_are_found, nothing_of_a_query_is_an_operator, search_follows_updates;
            events: events_are_numbered_densely, case_23_racing_writers_leave_no_gap, events_read_back_as_written,
                events_are_found_by_every_way, positions_grow_over_all_projects, an_event_is_stored_once,
                a_stream_has_no_fork;
            consumers: a_consumer_keeps_its_checkpoint, a_lease_excludes_others, an_expired_lease_is_taken_over, a_lapsed_lease_is_told,
                a_failure_holds_back_until_its_time, progress_commits_with_its_effect, dead_letters_are_kept_in_order,
                dead_letters_are_tried_again, letters_wait_and_keep_an_order, a_paused_consumer_is_not_claimed, a_reset_begins_a_new_generation,
                a_consumer_is_made_once, racing_claims_give_one_lease;
            jobs: due_jobs_are_claimed_in_order, projects_take_turns, a_claim_may_be_of_one_project, a_worker_keeps_its_job_for_longer,
                a_token_fences_out_the_slow, a_unique_key_holds_while_open,
                a_schedule_moves, a_job_is_created_or_nothing_is, a_running_job_can_be_moved, a_job_may_schedule_its_successor, a_cancelled_job_is_gone,
                jobs_of_one_order_key_run_in_turn, a_retry_keeps_its_place, a_dead_job_may_block_its_order_key, parked_jobs_hold_nobody_back,
                dead_jobs_are_released, jobs_are_cancelled_by_their_id, a_scheduled_job_is_hurried, jobs_are_listed, a_backlog_is_counted_by_kind, old_jobs_are_purged,
                higher_priorities_come_first, a_priority_changes_no_line_and_no_turn, a_moved_job_takes_the_new_priority, tries_are_kept_with_the_job, a_key_must_be_vacant, the_times_of_the_newest_jobs_are_told, racing_workers_share_jobs;
            secrets: a_secret_comes_back_as_it_was_put, a_secret_belongs_to_its_batch, a_revision_has_one_value,
                shredded_revisions_are_gone, racing_writers_put_a_revision_once, secrets_are_walked_by_their_key,
                a_secret_is_sealed_anew_once, a_batch_may_rely_on_the_newest_revision,
                racing_writers_rely_on_one_newest_revision, everything_of_a_project_is_shredded;
            copying: a_copy_is_the_store, a_copy_lives_on, a_copy_goes_on_where_it_was, a_copy_twice_is_a_copy,
                a_target_of_another_source_is_refused, a_source_that_changes_is_noticed, a_target_that_differs_is_noticed,
                a_step_needs_the_note_it_knows;
            baselines: a_baseline_is_kept_and_replaced, baselines_are_walked_by_what_they_say,
                removed_events_are_gone_and_their_numbers_with_them, a_log_says_from_where_it_is_whole,
                a_refused_batch_removes_nothing;
            erasing: a_redacted_event_keeps_all_but_its_data, ended_jobs_are_removed, stored_outcomes_are_taken_away,
                a_refused_batch_forgets_nothing;
            life: data_survives_reopening, a_new_column_is_filled, a_new_version_fills_again, a_closed_store_refuses,
                preparing_twice_changes_nothing, idempotency_keys_hold_until_they_expire,
                idempotency_keys_refuse_a_second_commit, two_handles_see_each_other, futures_may_be_dropped,
                it_says_how_it_is_guarded;
        );
    };
    (@ $fresh:expr; $($area:ident: $($name:ident),* $(,)?;)*) => {
        $(mod $area {
            #[allow(unused_imports, reason = "the expression may need names of the place where the macro is called")]
            use super::*;
            $(
                #[test]
                fn $name() {
                    $crate::storage::testing::run(
                        |place| Box::pin($crate::storage::testing::$area::$name(place)),
                        &$fresh,
                    );
                }
            )*
        })*
    };
}

#[cfg(test)]
mod memory {
    use super::*;
    use crate::storage::MemoryStorage;

    #[async_trait]
    impl Place for MemoryStorage {
        async fn open(&self) -> Arc<dyn Storage> {
            Arc::new(self.reopen())
        }
    }

    crate::conformance_suite!(MemoryStorage::new());
}
