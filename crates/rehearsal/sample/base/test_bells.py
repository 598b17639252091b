import unittest

from bells import bells


class Bells(unittest.TestCase):
    def test_one_more_every_half_hour(self):
        self.assertEqual([bells(1), bells(1, 30), bells(2)], [2, 3, 4])

    def test_half_an_hour_into_a_watch(self):
        self.assertEqual([bells(0, 30), bells(4, 30), bells(20, 30)], [1, 1, 1])

    def test_eight_bells_end_a_watch(self):
        self.assertEqual([bells(0), bells(4), bells(12)], [8, 8, 8])

    def test_the_last_half_hour_of_a_watch(self):
        self.assertEqual([bells(3, 30), bells(23, 30)], [7, 7])

    def test_no_time_of_day(self):
        for hour, minute in [(24, 0), (-1, 0), (12, 60)]:
            with self.assertRaises(ValueError):
                bells(hour, minute)


if __name__ == "__main__":
    unittest.main()
