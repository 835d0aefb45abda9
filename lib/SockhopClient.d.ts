import { SockhopClient } from '../index';

export = SockhopClient;
