import { SockhopSession } from '../index';

export = SockhopSession;
