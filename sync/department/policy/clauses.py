"""Every sentence of 463.1 to 463.9 that obliges, permits or forbids, and the test that enforces it.

`department clauses` prints this table. A test compares it with the policy's text and with the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

ENFORCED = "enforced"
NOT_ENFORCED = "not enforced"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseRow:
    """`duty`: obliges, permits or forbids. `test`: file::name under tests/, or empty if not enforced."""

    clause: str
    duty: str
    sentence: str
    state: str
    how: str
    test: str


def _row(clause: str, duty: str, sentence: str, how: str, test: str) -> ClauseRow:
    return ClauseRow(
        clause=clause,
        duty=duty,
        sentence=sentence,
        state=ENFORCED if test else NOT_ENFORCED,
        how=how,
        test=test,
    )


_PURPOSES = "desk/test_inquiry.py::test_a_purpose_outside_463_2_is_refused"
_TAKEN = "desk/test_inquiry.py::test_each_purpose_of_463_2_is_accepted"
_ROLES = "desk/test_attack_calls.py::test_each_role_makes_the_calls_of_the_policy_and_no_other"
_ENTRY = "desk/test_inquiry.py::test_the_entry_holds_what_463_5_b_asks_for"
_SHARE = "desk/test_sharing.py::test_a_written_request_lacking_a_part_is_refused"
_TOPICS = "desk/test_training.py::test_a_record_without_all_topics_is_refused"

ROWS: tuple[ClauseRow, ...] = (
    _row(
        "463.1",
        "permits",
        "The policy of the Monrovia Police Department is to utilize ALPR technology to capture and "
        "store digital "
        "license plate data and images while recognizing the established privacy rights of the public.",
        "All content is encrypted. It is decrypted only for an access that is in the log first.",
        "desk/test_inquiry.py::test_no_content_is_opened_without_a_covered_entry",
    ),
    _row(
        "463.2",
        "forbids",
        "ALPR shall only be used for official law enforcement business for the following purposes:",
        "Every search, picture and export asks for one of these purposes; any other is refused.",
        _PURPOSES,
    ),
    _row(
        "463.2",
        "permits",
        "Investigation for prosecution or exoneration of suspected criminal (including terrorist) incidents",
        "A person can choose this purpose.",
        _TAKEN,
    ),
    _row(
        "463.2",
        "permits",
        "Identification and/or location of wanted persons",
        "A person can choose this purpose.",
        _TAKEN,
    ),
    _row(
        "463.2",
        "permits",
        "Enforcement of sanctions, orders, or sentences",
        "A person can choose this purpose.",
        _TAKEN,
    ),
    _row(
        "463.2",
        "permits",
        "Crime prevention/general law enforcement purposes",
        "A person can choose this purpose.",
        _TAKEN,
    ),
    _row("463.2", "permits", "Crime Analysis", "A person can choose this purpose.", _TAKEN),
    _row(
        "463.2",
        "permits",
        "Investigatory leads in subsequent investigations",
        "A person can choose this purpose.",
        _TAKEN,
    ),
    _row(
        "463.3",
        "forbids",
        "Only sworn officers, dispatchers and Communications, Crime Analysis and Technology Bureau "
        "(CCAT) personnel "
        "are allowed to access the ALPR system after receiving department-approved training.",
        "A person needs an account with one of these roles, and current training in an approved "
        "course. Without both, nothing with data opens.",
        "desk/test_attack_calls.py::test_no_data_call_is_made_without_current_training",
    ),
    _row(
        "463.3",
        "permits",
        "Authorized vendors will have access for maintenance and repair.",
        "A vendor gets in only under a signed grant that ends, at units and at this server, and sees "
        "no plate, picture or place.",
        "desk/test_office.py::test_a_vendor_works_at_the_departments_server_only_during_a_grant_for_it",
    ),
    _row(
        "463.4",
        "obliges",
        "The Support Services Division Commander is the administrator of the ALPR system and shall "
        "ensure that the "
        "system is operated in conformity with this Policy and other Department policies, "
        "procedures, rules and "
        "regulations.",
        "The compliance list shows the administrator what is overdue. Only the administrator manages "
        "accounts.",
        "desk/test_compliance.py::test_everything_overdue_is_listed",
    ),
    _row(
        "463.5",
        "obliges",
        "All data will be closely safeguarded and protected by both procedural and technological means.",
        "With the witness's public key, anyone can find out whether an entry of the access log was "
        "removed or changed.",
        "desk/test_attack_log.py::test_removed_and_edited_look_ups_are_found_by_a_stranger",
    ),
    _row(
        "463.5",
        "obliges",
        "The Monrovia Police Department will observe the following safeguards regarding access to "
        "and use of stored "
        "data (Civil Code § 1798.90.51; Civil Code § 1798.90.53):",
        "No answer leaves the server before an independent witness has co-signed the entry about it. "
        "While the witness is away, answers are marked as not witnessed, and after minutes refused.",
        "desk/test_grace.py::test_answers_are_marked_in_the_grace_and_refused_after_it",
    ),
    _row(
        "463.5 (a)",
        "permits",
        "Personnel approved to access ALPR data under these guidelines are permitted to access the data for "
        "legitimate law enforcement purposes only, such as when the data relate to a specific "
        "criminal investigation "
        "or department-related civil or administrative action.",
        "Each search names what it is based on, with its number and the reason. Without a full plate "
        "it also takes a case number and a second person; in an emergency the second person judges "
        "it afterwards.",
        "desk/test_inquiry.py::test_a_search_lacking_basis_number_or_justification_is_refused",
    ),
    _row(
        "463.5 (b)",
        "obliges",
        "Personnel who access ALPR information will document the access in the department computer "
        "Records Management "
        "System under a classification of ALPR Request.",
        "Every access is entered in the log as an ALPR Request and handed to the RMS as a file. Until "
        "its RMS number is entered, it is listed as not filed.",
        "desk/test_audit.py::test_each_access_is_an_alpr_request_until_it_is_filed",
    ),
    _row(
        "463.5 (b)",
        "obliges",
        "The access information will include all of the following:",
        "The entry cannot be made without all four.",
        _ENTRY,
    ),
    _row(
        "463.5 (b) 1",
        "obliges",
        "The date and time the information is accessed.",
        "The server enters the time.",
        _ENTRY,
    ),
    _row(
        "463.5 (b) 2",
        "obliges",
        "The license plate number or other data elements used to query the ALPR system",
        "The entry names the plate, or what else was searched for.",
        _ENTRY,
    ),
    _row(
        "463.5 (b) 3",
        "obliges",
        "The username of the person who accesses the information",
        "The entry names the person who is logged in, proven by password and code or by a passkey.",
        _ENTRY,
    ),
    _row(
        "463.5 (b) 4",
        "obliges",
        "The purpose of accessing the information",
        "The entry names the purpose, the basis and its number.",
        _ENTRY,
    ),
    _row(
        "463.5 (c)",
        "obliges",
        "ALPR system audits will be conducted on a periodic basis.",
        "The periodic audit is an entry with a due date. Each finding goes to a reviewer other than "
        "the person who searched.",
        "desk/test_audit.py::test_the_periodic_audit_is_a_record_and_assigns_other_reviewers",
    ),
    _row(
        "463.5 (c)",
        "forbids",
        "Inquiries into the ALPR System are restricted to the CCAT Supervisor and the "
        "Communications' Personnel.",
        "Only these two groups can run a search. All others send them a request.",
        _ROLES,
    ),
    _row(
        "463.6",
        "forbids",
        "The ALPR data may be shared only with other law enforcement or prosecutorial agencies for "
        "official law "
        "enforcement purposes or as otherwise permitted by law, using the following procedures:",
        "Data goes only to law enforcement agencies and prosecutors of this state (Civil Code "
        "1798.90.55 (b)). Any other agency is refused.",
        "desk/test_sharing.py::test_the_gate_lets_only_agencies_of_this_state_pass",
    ),
    _row(
        "463.6 (a)",
        "obliges",
        "The agency makes a written request for the ALPR data that includes:",
        "A request that lacks a part, or its letter, is refused.",
        _SHARE,
    ),
    _row("463.6 (a) 1", "obliges", "The name of the agency.", "A request without it is refused.", _SHARE),
    _row(
        "463.6 (a) 2",
        "obliges",
        "The name of the person requesting.",
        "A request without it is refused.",
        _SHARE,
    ),
    _row(
        "463.6 (a) 3",
        "obliges",
        "The intended purpose of obtaining the information.",
        "A request without it is refused.",
        _SHARE,
    ),
    _row(
        "463.6 (b)",
        "obliges",
        "The request is reviewed by the Support Services Division Commander or authorized designee "
        "and approved "
        "before the request is fulfilled.",
        "A request is reviewed, then approved by a person who did not enter it. Only then is it "
        "fulfilled, and never beyond what was approved.",
        "desk/test_sharing.py::test_nothing_is_delivered_before_review_and_approval",
    ),
    _row(
        "463.6 (c)",
        "obliges",
        "The approved request is retained on file.",
        "The letter, the review and the decision stay in the log.",
        "desk/test_sharing.py::test_the_letter_is_retained_in_the_log",
    ),
    _row(
        "463.6 (d)",
        "permits",
        "The Monrovia Police Department shares ALPR data with the Los Angeles County Sheriffs "
        "Department through an "
        "inter-agency agreement by which each agency agrees that all ALPR data will be gathered, "
        "accessed, utilized "
        "and disclosed in accordance with applicable law.",
        "The signed policy file holds the agreement and its terms. Transfers under it are counted.",
        "desk/test_sharing.py::test_transfers_under_the_agreement_are_counted",
    ),
    _row(
        "463.6",
        "obliges",
        "Requests for ALPR data by non-law enforcement or non-prosecutorial agencies will be "
        "processed as provided "
        "in the Records Maintenance and Release Policy (Civil Code § 1798.90.55).",
        "The request is entered and routed to records release. Nothing is searched or answered here.",
        "desk/test_sharing.py::test_others_are_routed_to_records_release",
    ),
    _row(
        "463.7",
        "obliges",
        "For this reason, it is important to verify the accuracy of any alert received.",
        "The person types plate and state from the alert's picture. Only then is the list's entry "
        "shown, and compared with what was typed.",
        "desk/test_alerts.py::test_an_alert_is_looked_at_typed_compared_and_ended",
    ),
    _row(
        "463.7",
        "obliges",
        "Prior to any action being taken due to an ALPR alert, the officer in the field and/or "
        "communications officer "
        "in dispatch should view the image of the license plate verifying that the image of the "
        "license plate was "
        "correctly recognized by the ALPR system.",
        "No answer can be entered before the same person viewed the picture and typed the plate, and no "
        "stop, arrest or release before such an answer confirmed the alert.",
        "desk/test_alerts.py::test_no_alert_is_acted_on_before_its_image_was_looked_at",
    ),
    _row(
        "463.7",
        "obliges",
        "If practicable, the officer should verify an ALPR response through the California Law Enforcement "
        "Telecommunications Systems (CLETS) before taking enforcement action that is based solely "
        "on an ALPR alert.",
        "A confirmed alert asks for its CLETS reference, or why there is none, and asks again. Without one "
        "of the two no stop, arrest or release is entered.",
        "desk/test_alerts.py::test_clets_is_asked_for_after_a_confirmation_and_again_in_time",
    ),
    _row(
        "463.8",
        "obliges",
        "The Support Services Division Commander is responsible for ensuring systems and processes "
        "are in place for "
        "the proper collection and retention of ALPR data.",
        "Each purge is an entry. The compliance list shows overdue purges, silent units and open incidents.",
        "desk/test_compliance.py::test_overdue_purges_and_silent_units_are_listed",
    ),
    _row(
        "463.8",
        "obliges",
        "Data will be transferred from vehicles to the designated storage in accordance with "
        "department procedures.",
        "Units send what they read over a signed connection. The department searches what arrived, "
        "and nothing else.",
        "desk/test_inquiry.py::test_a_search_finds_the_reads_that_units_delivered",
    ),
    _row(
        "463.8",
        "obliges",
        "All ALPR data downloaded to the server should be stored for 1 year.",
        "The signed policy file sets the days, counted from receipt. Nothing is purged earlier, and "
        "nothing is kept longer without a hold.",
        "sync/test_retention.py::test_a_late_upload_is_kept_a_year_from_receipt",
    ),
    _row(
        "463.8",
        "obliges",
        "Thereafter, ALPR data should be purged unless it has become, or it is reasonable to "
        "believe it will become, "
        "evidence in a criminal or civil action or is subject to a discovery request or other "
        "lawful action to "
        "produce records.",
        "A hold needs one of five grounds. Held data outlives its day; all other data of that day is purged.",
        "desk/test_holds.py::test_a_held_read_outlives_its_purged_day_and_no_other_does",
    ),
    _row(
        "463.8",
        "obliges",
        "In those circumstances, the applicable data should be downloaded from the server onto "
        "portable media and "
        "booked into evidence.",
        "A hold is exported as a package that anyone can check. Its release takes the evidence item's "
        "number and a second person; one placed by mistake and never exported takes a reason instead.",
        "desk/test_holds.py::test_release_needs_export_booking_and_a_second_person",
    ),
    _row(
        "463.9",
        "obliges",
        "All sworn officers, dispatchers, Communications, Crime Analysis and Technology Bureau "
        "(CCAT) personnel will "
        "have training annually conducted by the CCAT Supervisor.",
        "Only the supervisor enters training, and never their own. It expires after a year.",
        "desk/test_training.py::test_only_the_supervisor_records_training_and_never_their_own",
    ),
    _row(
        "463.9 (a)",
        "obliges",
        "Use and operation of the ALPR equipment",
        "A training record without this topic is refused.",
        _TOPICS,
    ),
    _row(
        "463.9 (b)",
        "obliges",
        "Review of Department Policy",
        "A training record without this topic is refused.",
        _TOPICS,
    ),
    _row(
        "463.9 (c)",
        "obliges",
        "Review of Privacy Usage Policy",
        "A training record without this topic is refused.",
        _TOPICS,
    ),
)


def clause_rows() -> tuple[ClauseRow, ...]:
    """The table, in the policy's order."""
    return ROWS
