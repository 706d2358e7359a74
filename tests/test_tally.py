"""Does the published report of faults name a folder of the machine that wrote it?"""

from tally import Tally


def test_a_folder_of_this_machine_is_not_in_the_report(tmp_path):
    rows = []
    report = Tally(weekly=False, record=lambda _, row: rows.append(row), scratch=tmp_path.parent)
    report.note("disks", "it is full", tried=1, message=f"No space: '{tmp_path}/a/b.npz'.")
    report.note("disks", "it is read-only", tried=1, message=f"Not written: {tmp_path}")
    assert [row["message"] for row in rows] == [
        "No space: 'FOLDER/a/b.npz'.",
        "Not written: FOLDER",
    ]
