"""Alarms from healthy data alone: the default beside detectors of PyOD and scikit-learn, a file a family of sets."""
