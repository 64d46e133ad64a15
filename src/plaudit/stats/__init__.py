"""Statistics on numpy and scipy: choice densities, intervals, calibration. No torch."""
