// Moving an installation from one file to another.

import ventros.CopyProgress
import ventros.Crm
import ventros.ErrorCode
import ventros.InvalidStateError
import ventros.UnavailableError
import ventros.copy
import ventros.use

fun copyingTests() {
    test("everything moves, and a second copy has nothing to do") {
        shop.contacts.create(name = "Ana", phone = "(11) 90000-0001")
        val heard = mutableListOf<CopyProgress>()
        val report = copy("$folder/crm.db", "$folder/other.db") { heard.add(it) }
        equal(report.copied, report.rows)
        equal(report.sections["contacts"], 1L)
        check(heard.isNotEmpty() && heard.all { it.total == report.rows && it.done <= it.total })
        equal(copy("$folder/crm.db", "$folder/other.db"), report.copy(copied = 0))
        Crm.open("$folder/other.db", background = false).use { other ->
            equal(other.project(shop.id).contacts.list().all().single().name, "Ana")
        }
    }

    test("a copy that cannot be is refused") {
        Crm.open("$folder/other.db", background = false).close()
        val refused = fails<InvalidStateError> { copy("$folder/crm.db", "$folder/other.db") }
        equal(refused.code, ErrorCode.TARGET_NOT_EMPTY)
        equal(fails<UnavailableError> { copy("$folder/nowhere.db", "$folder/third.db") }.field, "source")
        val reason = fails<IllegalStateException> { copy("$folder/crm.db", "$folder/third.db") { error("enough") } }
        equal(reason.message, "enough")
    }
}
